"""The step across the rim of what is generated."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from ..faces.mask import FEATHER, mouth_mask
from .pixels import LUMA

REACH = FEATHER + 2  # grid pixels from the mask's edge to either side of its blend
SMOOTH = 5  # grid pixels over which a side is averaged: noise is no seam
STEP = 4  # every so many pixels of the rim are looked at


class Seam:
    """Mean step, along the rim of the mouth mask, of the difference between result and reference.

    A picture's own edges across the rim are in both and cancel; what is pasted too bright, too dark or without a blend
    stays.
    """

    def __init__(self) -> None:
        self._steps: list[float] = []

    def update(self, result: Tensor, reference: Tensor) -> None:
        """Continue with face crops uint8 [T, 256, 256, 3] of both."""
        difference = (result.float() - reference.float()) @ LUMA
        smooth = F.avg_pool2d(difference[:, None], SMOOTH, 1, SMOOTH // 2, count_include_pad=False)[:, 0].flatten(1)
        inner, outer = rim()
        self._steps += (smooth[:, inner] - smooth[:, outer]).abs().mean(1).tolist()

    @property
    def levels(self) -> float | None:
        """Mean step in grey levels of 255; None before any frame."""
        return sum(self._steps) / len(self._steps) if self._steps else None


@functools.lru_cache(maxsize=1)
def rim() -> tuple[Tensor, Tensor]:
    """Places along the mask's edge, and what lies ``REACH`` inside and outside of each: two int64 [n], indices into a
    flattened crop of 256 x 256.
    """
    mask = mouth_mask().float()[None, None]
    edge = (mask - (1 - F.max_pool2d(1 - mask, 3, 1, 1)))[0, 0] > 0  # its own outermost pixels
    blurred = mask
    for _ in range(3):
        blurred = F.avg_pool2d(blurred, 2 * REACH + 1, 1, REACH)
    down, right = torch.gradient(blurred[0, 0])
    places = edge.nonzero()[::STEP]
    normal = torch.stack([down[tuple(places.T)], right[tuple(places.T)]], 1)
    normal = F.normalize(normal, dim=1) * REACH  # towards the inside
    size = len(mask[0, 0])
    sides = [(places + sign * normal).round().long() for sign in (1, -1)]
    inside = torch.stack([((side >= 0) & (side < size)).all(1) for side in sides]).all(0)
    return tuple(side[inside, 0] * size + side[inside, 1] for side in sides)
