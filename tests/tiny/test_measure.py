"""The measuring chain on what is known to be right."""

from __future__ import annotations

import json

import torch

from lipforcing.tiny import family
from lipforcing.tiny.demo import CLIP
from lipforcing.tiny.measure import measure, read_crops, small_crop


def test_own_speech_is_in_sync():
    """The measuring chain on what is known to be right: a bundled clip with its own sound."""
    tracks = json.loads((family.SAMPLES / "tracks.json").read_text())
    clip = str(family.SAMPLES / f"{CLIP}.mp4")
    figures = measure(read_crops(clip), clip, torch.tensor(tracks[CLIP]))
    assert figures.correlation > 0.95
    assert figures.sync.verdict is None and abs(figures.sync.offset) <= 1


def test_crops_are_those_of_the_clock_at_the_familys_size():
    crops = read_crops(str(family.SAMPLES / f"{CLIP}.mp4"), 5)
    assert crops.shape == (5, 128, 128, 3) and crops.dtype == torch.uint8
    assert small_crop(torch.full((30, 20, 3), 77, dtype=torch.uint8)).unique().tolist() == [77]


def test_the_shorter_of_track_and_clip_is_compared():
    clip = str(family.SAMPLES / f"{CLIP}.mp4")
    wanted = torch.tensor(json.loads((family.SAMPLES / "tracks.json").read_text())[CLIP])
    crops = read_crops(clip, 60)
    assert measure(crops, clip, wanted).correlation > 0.9
    assert len(measure(crops, torch.zeros(16_000), wanted[:40]).opening) == 60
