"""What lips do over a clip, on drawn clips whose truth is known."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lipforcing.evaluation.articulation import ArticulationMeasure
from lipforcing.evaluation.lips import LipReader

from .drawn import pictures, speech
from .pictures import pair

TALK, PAUSE = 45, 20


@pytest.fixture(scope="module")
def reader() -> LipReader:
    return LipReader("cpu")


@pytest.fixture(scope="module")
def truth() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mouth, pictures and sound."""
    mouth, waveform = speech(1, TALK, PAUSE)
    return mouth, pictures(mouth), waveform


def figures(reader, result, reference, waveform, phonemes=None) -> dict[str, float]:
    measure = ArticulationMeasure(reader, waveform, phonemes)
    for first in range(0, len(result), 25):
        measure.update(pair(result[first : first + 25], reference[first : first + 25], first))
    return measure.values()


def test_the_truth_agrees_with_itself(reader, truth):
    mouth, frames, waveform = truth
    closed = mouth[:TALK, 0] == 0  # bilabials, which espeak-ng's phonemes would name
    edges = F.pad(closed.int(), (1, 1)).diff().nonzero().flatten().tolist()
    spoken = [("a", 0.0, TALK / 25)] + [("m", a / 25, b / 25) for a, b in zip(edges[::2], edges[1::2])]
    found = figures(reader, frames, frames, waveform, spoken)
    assert found["opening"] == pytest.approx(1) and found["opening_lag"] == 0
    assert found["opening_mean"] == found["opening_95"] == 1 and found["opening_sound"] > 0.4
    assert found["pauses_moving"] == 0 and found["silence_closed"] == 1
    assert found["closure_recall"] == 1 and found["closure_f1"] == found["closure_f1_reference"] > 0.5


def test_a_late_mouth_is_found_late(reader, truth):
    mouth, frames, _ = truth
    late = mouth[:TALK].roll(4, 0) * torch.tensor([0.6, 1, 1, 1, 1])
    found = figures(reader, pictures(late), frames[:TALK], None)
    assert found["opening_lag"] == 4 and found["opening_best"] - found["opening"] > 0.4 and found["opening_95"] < 0.9


def test_a_mouth_that_babbles_in_a_pause_is_seen(reader, truth):
    mouth, frames, waveform = truth
    babbling = mouth.clone()
    babbling[TALK:, 0] = 0.4 + 0.4 * torch.sin(torch.arange(PAUSE) * 1.4)
    found = figures(reader, pictures(babbling), frames, waveform)
    assert found["pauses_moving"] > 0.6 and found["silence_closed"] < 0.6 and found["pauses_moving_reference"] == 0


def test_without_sound_only_the_reference_is_compared(reader, truth):
    _, frames, _ = truth
    found = figures(reader, frames[:20], frames[:20], None)
    assert set(found) == {"opening", "opening_best", "opening_lag", "opening_mean", "opening_95"}
    assert ArticulationMeasure(reader).values() == {}
