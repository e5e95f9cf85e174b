"""Clips to analyse."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from lipforcing.analysis import clips
from lipforcing.analysis.clips import FRAMES, drawn_clip, filmed, filmed_clip
from lipforcing.errors import InputError
from lipforcing.media import Audio, VideoWriter


def video(path, frames: int) -> None:
    """Every picture is as bright as its number, every sample of sound as loud."""
    waveform = (torch.arange(frames * 640) // 640).float()[None] / 200
    with VideoWriter(path, 64, 64, Fraction(25), audio=Audio(waveform, 16_000), lossless=True) as writer:
        for n in range(frames):
            writer.write(torch.full((64, 64, 3), 2 * n, dtype=torch.uint8), n / 25)


def test_a_drawn_clip_shows_a_person_twice(monkeypatch):
    monkeypatch.setattr(clips, "FRAMES", 3)
    monkeypatch.setattr(
        clips, "utterance", lambda seed, s: (torch.full((1920,), seed % 10 / 10), torch.full((3, 5), seed % 2 * 0.9))
    )
    clip = drawn_clip(1)
    changed = (clip.target.int() - clip.source.int()).abs().amax((0, 2, 3))
    assert changed.max() > 20 and not changed[:32].any()  # the mouth alone
    assert clip.waveform.mean() == pytest.approx(0.1) and clip.name == "clip_001"


def test_the_source_of_a_filmed_clip_never_overlaps_its_target(tmp_path):
    video(tmp_path / "a.mkv", 2 * FRAMES + 5)
    (path,) = filmed(tmp_path)
    clip = filmed_clip(path)
    levels = [pictures.float().mean((1, 2, 3)) / 2 for pictures in (clip.source, clip.target)]
    torch.testing.assert_close(torch.cat(levels), torch.arange(2.0 * FRAMES), atol=1.5, rtol=0)
    assert len(clip.waveform) == FRAMES * 640 and clip.waveform[320] == pytest.approx(FRAMES / 200, abs=0.01)


def test_what_cannot_be_used_is_said(tmp_path):
    with pytest.raises(InputError, match="no videos"):
        filmed(tmp_path)
    video(tmp_path / "a.mkv", 30)
    with pytest.raises(InputError, match="30 frames"):
        filmed_clip(tmp_path / "a.mkv")
