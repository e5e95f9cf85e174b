"""The demonstration writes what it promises, and its figures say that the mouth follows the new speech."""

from __future__ import annotations

import pytest
import torch

from lipforcing.media import AudioSource, VideoReader, probe
from lipforcing.tiny import family
from lipforcing.tiny.demo import CLIP, SPEECH, run_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"))


def test_files(demo):
    source, result, both = (
        probe(path) for path in (family.SAMPLES / f"{CLIP}.mp4", demo.result.path, demo.side_by_side)
    )
    assert (result.width, result.height, result.frame_rate) == (source.width, source.height, source.frame_rate)
    assert (both.width, both.height) == (2 * source.width, source.height)
    assert result.has_audio and both.has_audio
    seconds = AudioSource(family.SAMPLES / f"{SPEECH}.wav").seconds
    assert result.duration == pytest.approx(seconds, abs=0.041) and both.duration == result.duration
    assert demo.plot.read_bytes().startswith(b"\x89PNG")


def test_result_is_in_sync_and_the_source_was_not(demo):
    assert demo.after.correlation > 0.75 > demo.before.correlation + 0.3
    assert demo.after.sync.padded.confidence > demo.before.sync.padded.confidence
    assert abs(demo.after.sync.padded.offset) <= 1


def test_result_contains_the_new_speech(demo):
    speech = AudioSource(family.SAMPLES / f"{SPEECH}.wav").mono16k()
    heard = AudioSource(demo.result.path).mono16k()
    length = min(len(speech), len(heard))
    assert abs(len(speech) - len(heard)) <= 1024
    assert torch.corrcoef(torch.stack((speech[:length], heard[:length])))[0, 1] > 0.95


def test_face_above_the_mouth_is_the_source(demo):
    with VideoReader(family.SAMPLES / f"{CLIP}.mp4") as before, VideoReader(demo.result.path) as after:
        for old, new in zip(before.frames(), after.frames()):
            eyes = slice(0, 130)  # of 384 rows; the mask begins at 142
            assert (old.image[eyes].float() - new.image[eyes].float()).abs().mean() < 2.5
