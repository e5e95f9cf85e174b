"""Change from frame to frame beyond the reference's."""

from __future__ import annotations

import torch
from torch import Tensor

from ..faces.mask import mouth_mask
from .pixels import LUMA


class Flicker:
    """How much more than the reference's the result changes from one frame to the next, where both hardly change.

    Of every frame the median over the mouth mask of the absolute change of grey levels, in the result less in the
    reference. The median is that of skin: lips and teeth, which move with the words, are the smaller part of the mask.
    """

    def __init__(self) -> None:
        self._last: Tensor | None = None  # of both, [2, n]
        self._excess: list[float] = []

    def update(self, result: Tensor, reference: Tensor) -> None:
        """Continue with face crops uint8 [T, 256, 256, 3] of both."""
        for pair in zip(result, reference):
            grey = torch.stack([crop[mouth_mask()].float() @ LUMA for crop in pair])
            if self._last is not None:
                ours, theirs = (grey - self._last).abs().median(1).values.tolist()
                self._excess.append(ours - theirs)
            self._last = grey

    def interrupt(self) -> None:
        """The next frame does not follow the last one."""
        self._last = None

    @property
    def levels(self) -> float | None:
        """Mean excess in grey levels of 255; None before two frames that follow each other."""
        return sum(self._excess) / len(self._excess) if self._excess else None
