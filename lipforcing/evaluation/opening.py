"""How well the opening of a mouth follows another one, or the loudness of the speech."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..timeline import SAMPLES_PER_FRAME

MAX_LAG = 15  # frames searched either way, as with SyncNet
LOUDNESS = 0.6  # exponent of loudness over sound pressure (Stevens 1955)


@dataclass(frozen=True)
class Agreement:
    """Of two openings over time.

    Attributes:
        correlation: Pearson's, of frames at the same time, -1 to 1.
        best, lag: the highest correlation within 15 frames either way, and the frames of 40 ms by which the first
            opening is then later than the second.
        mean, high: mean of the first over that of the second, and the same of their 95th percentiles.
    """

    correlation: float
    best: float
    lag: int
    mean: float
    high: float


def agreement(opening: Tensor, wanted: Tensor) -> Agreement | None:
    """Of gaps [T] and [T] at 25 fps; frames where either is NaN are left out. None where fewer than half are known."""
    known = opening.isfinite() & wanted.isfinite()
    if known.sum() * 2 < len(known) or not len(known):
        return None
    by_lag = {lag: _correlation(*_lagged(opening, wanted, lag)) for lag in range(-MAX_LAG, MAX_LAG + 1)}
    lag = max(by_lag, key=by_lag.get)
    ours, theirs = opening[known], wanted[known]
    ratios = (float(of(ours) / of(theirs)) for of in (torch.mean, lambda gap: gap.quantile(0.95)))
    return Agreement(by_lag[0], by_lag[lag], lag, *ratios)


def loudness(waveform: Tensor, frames: int) -> Tensor:
    """What a mouth may be expected to do: loudness around the middle of each of the first 25-fps frames, [frames].

    Root mean square over 80 ms of mono samples at 16 kHz, to the power of 0.6; silence beyond the end.
    """
    samples = waveform[: (frames + 1) * SAMPLES_PER_FRAME].float()
    half = SAMPLES_PER_FRAME // 2
    padded = F.pad(samples, (half, (frames + 1) * SAMPLES_PER_FRAME - len(samples)))
    power = padded.unfold(0, 2 * SAMPLES_PER_FRAME, SAMPLES_PER_FRAME)[:frames].square().mean(1)
    return power ** (LOUDNESS / 2)


def _lagged(opening: Tensor, wanted: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """Frames of both that belong together where the opening is late by ``lag``."""
    length = max(0, len(opening) - abs(lag))
    ours, theirs = opening[max(0, lag) :][:length], wanted[max(0, -lag) :][:length]
    known = ours.isfinite() & theirs.isfinite()
    return ours[known], theirs[known]


def _correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's of [n] and [n]; 0 where either never changes: what does not move follows nothing."""
    if len(a) < 2:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm > 0 else 0.0
