"""Openings that follow another, or the sound."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.opening import agreement, loudness

from .drawn import speech


@pytest.fixture(scope="module")
def opening() -> torch.Tensor:
    return speech(1, 90, 0)[0][:, 0]


def test_equal_openings_agree(opening):
    found = agreement(opening, opening)
    assert (found.correlation, found.best, found.lag) == (pytest.approx(1), pytest.approx(1), 0)
    assert found.mean == found.high == 1


@pytest.mark.parametrize("lag", [-7, 4])
def test_a_late_opening_is_found_late(opening, lag):
    found = agreement(opening.roll(lag) * 0.5, opening)
    assert found.lag == lag and found.best > 0.95 > 0.6 > found.correlation
    assert found.mean == pytest.approx(0.5) and found.high == pytest.approx(0.5)


def test_frames_that_are_not_known_do_not_count(opening):
    holes = opening.clone()
    holes[10:30] = torch.nan
    found = agreement(holes, opening)
    assert found.correlation == pytest.approx(1) and found.mean == pytest.approx(1) and found.lag == 0
    holes[:60] = torch.nan
    assert agreement(opening[40:43], opening[40:43]).correlation == pytest.approx(1)  # shorter than the lags
    assert agreement(holes, opening) is None and agreement(holes[:0], opening[:0]) is None


def test_what_does_not_move_follows_nothing(opening):
    still = agreement(torch.full_like(opening, 0.2), opening)
    assert still.correlation == pytest.approx(0, abs=1e-5) == still.best


def test_loudness_is_of_the_frame_it_is_heard_in():
    waveform = torch.zeros(10 * 640)
    waveform[4 * 640 : 5 * 640] = 0.5
    loud = loudness(waveform, 12)
    assert loud.argmax() == 4 and len(loud) == 12
    assert loud[3] == loud[5] and 0 < loud[3] < loud[4] and not loud[[0, 1, 2, 6, 7, 11]].any()
    assert loud[4] == pytest.approx((0.5**2 / 2) ** 0.3)


def test_mouths_of_speech_follow_its_loudness(opening):
    _, waveform = speech(1, 90, 0)
    assert agreement(opening, loudness(waveform, 90)).best > 0.5
    assert agreement(opening, loudness(speech(2, 90, 0)[1], 90)).correlation < 0.4
