"""What a mouth does while nobody speaks: pauses by voice activity, and digital silence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..audio.manner import level, speaking
from ..timeline import SAMPLES_PER_FRAME
from .lips import CLOSED, MOVES

LSB = 1 / 32768  # of 16-bit samples: what stays below is digital silence


def pause_frames(waveform: Tensor, frames: int) -> Tensor:
    """Which of the first ``frames`` 25-fps frames lie in a pause: bool [frames].

    Nobody speaks there, nor shortly before or after: lips part 0.2 s before a word and close 0.36 s after it, the
    times within which ``audio.manner`` lets speech move the mouth.

    Args:
        waveform: mono [samples] at 16 kHz; beyond its end is a pause.
    """
    return _away_from(speaking(waveform, frames))


def silent_frames(waveform: Tensor, frames: int) -> Tensor:
    """Which of the first ``frames`` frames lie in digital silence, and as far from any sound as a pause from speech:
    bool [frames].
    """
    samples = waveform[: frames * SAMPLES_PER_FRAME]
    padded = F.pad(samples.abs(), (0, frames * SAMPLES_PER_FRAME - len(samples)))
    return _away_from((padded.view(frames, -1).amax(1) >= LSB).tolist())


def _away_from(active: list[bool]) -> Tensor:
    return torch.tensor([level(active, row) == 0 for row in range(len(active))], dtype=torch.bool)


def moving_share(gap: Tensor, pause: Tensor) -> float | None:
    """Share of the pause's frames [T] whose gap differs by more than ``MOVES`` from that of the frame before, which
    lies in the pause as well; None without such frames. Gaps [T] of NaN are unknown.
    """
    change = gap.diff().abs()
    counted = pause[1:] & pause[:-1] & change.isfinite()
    return _share(change > MOVES, counted)


def closed_share(gap: Tensor, frames: Tensor) -> float | None:
    """Share of ``frames`` [T] (bool) with closed lips, of gaps [T]; None without any."""
    return _share(gap < CLOSED, frames & gap.isfinite())


def _share(hit: Tensor, of: Tensor) -> float | None:
    return float((hit & of).sum() / of.sum()) if of.any() else None
