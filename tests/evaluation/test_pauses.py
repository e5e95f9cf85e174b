"""Pauses, silence, and what the mouth does in them."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.lips import CLOSED, MOVES
from lipforcing.evaluation.pauses import LSB, closed_share, moving_share, pause_frames, silent_frames

from .drawn import speech


def test_a_pause_keeps_its_distance_from_speech():
    _, waveform = speech(0, 40, 40)
    noise = 0.5 * LSB * torch.randn(len(waveform), generator=torch.Generator().manual_seed(0)).clamp(-1.9, 1.9)
    pause = pause_frames(waveform + noise, 90)
    last = 40 - int((waveform[: 40 * 640].flip(0).abs() > 0.01).nonzero()[0]) // 640  # frame in which speech ends
    assert pause[last + 14 :].all() and not pause[last - 20 : last + 8].any() and len(pause) == 90


def test_silence_is_digital():
    waveform = torch.zeros(60 * 640)
    waveform[: 10 * 640] = 3 * LSB
    silent = silent_frames(waveform, 70)
    assert silent.tolist() == [False] * 18 + [True] * 52  # 0.36 s after the last sound
    assert not silent_frames(waveform + 2 * LSB, 60).any()


def test_shares():
    step = 2 * MOVES
    gap = torch.tensor([0, step, 0, step, step, step, torch.nan, 0, 0])
    everywhere, nowhere = torch.ones(9, dtype=torch.bool), torch.zeros(9, dtype=torch.bool)
    assert moving_share(gap, everywhere) == pytest.approx(3 / 6) and moving_share(gap, nowhere) is None
    alone = nowhere.clone()
    alone[3] = True  # the frame before is none of the pause
    assert moving_share(gap, alone) is None
    gap = torch.tensor([0, CLOSED / 2, 2 * CLOSED, torch.nan])
    assert closed_share(gap, torch.tensor([True, True, True, True])) == pytest.approx(2 / 3)
    assert closed_share(gap, torch.tensor([False, False, False, True])) is None
