"""Noise schedules, in rectified-flow time t (1 is noise, 0 is clean)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import InputError

T_MAX = 0.999
SHIFT = 5.0
TWO_STEP = (0.999, 0.769, 0.0)  # read from the teacher's trajectory: step 30 of 50 (docs/model.md, Schedules)
GUIDANCE_SCALE = 4.5
SYNC_WINDOW = (0.556, 0.882)


def check_schedule(sigmas: Sequence[float], found: str) -> tuple[float, ...]:
    """The noise levels, if they are a schedule; ``found`` says in the message what was given instead.

    Raises:
        InputError: they do not decrease from at most 1 down to 0.
    """
    falling = all(above > below for above, below in pairwise(sigmas))
    if len(sigmas) < 2 or not falling or sigmas[0] > 1 or sigmas[-1] != 0:
        raise InputError(f"{found}; give decreasing noise levels from at most 1 down to 0, such as 0.999, 0.769, 0.")
    return tuple(sigmas)


def shift_time(u: Tensor | float, shift: float = SHIFT) -> Tensor | float:
    """Move time towards noise: ``t = s u / (1 + (s - 1) u)``."""
    return shift * u / (1 + (shift - 1) * u)


def unshift_time(t: Tensor | float, shift: float = SHIFT) -> Tensor | float:
    """Inverse of ``shift_time``: ``u = t / (s - (s - 1) t)``."""
    return t / (shift - (shift - 1) * t)


def teacher_grid(steps: int = 50, shift: float = SHIFT) -> Tensor:
    """The teacher's ODE grid [steps + 1], float64: uniform in u from 0.999, shifted, ends forced to 0.999 and 0."""
    u = T_MAX * (1 - torch.arange(steps + 1, dtype=torch.float64) / steps)
    t = shift_time(u, shift)
    t[0], t[-1] = T_MAX, 0.0
    return t


def sync_window_scale(t: Tensor, scale: float = GUIDANCE_SCALE, reverse: bool = False) -> Tensor:
    """Guidance scale per time: ``scale`` inside the sync window, both ends included, 1 outside (paper, Eq. 6).

    ``reverse`` guides outside the window instead.
    """
    low, high = SYNC_WINDOW
    inside = (t >= low) & (t <= high)
    return torch.where(inside ^ reverse, scale, 1.0).to(t.dtype)
