"""Shot cuts, by the difference of successive thumbnails."""

from __future__ import annotations

import torch
import torch.nn.functional as F


class CutDetector:
    """Says of every frame whether a shot starts with it; the first frame of all does.

    A cut changes the picture at once and by far more than it was changing before. Thumbnails are compared after setting
    their mean colour and contrast to one norm, so that flashes, fades and exposure steps do not count.

    Args:
        difference: least mean absolute difference of two normalised thumbnails; unrelated pictures have about 1.1.
        ratio: least multiple of the usual difference between frames of this shot.
    """

    def __init__(self, difference: float = 0.5, ratio: float = 5.0) -> None:
        self.difference = difference
        self.ratio = ratio
        self._last: torch.Tensor | None = None  # [3, 16, 16]
        self._usual = 0.0

    def __call__(self, frames: torch.Tensor) -> list[bool]:
        """Continue with uint8 [T, H, W, 3] frames."""
        return [self._starts(thumbnail) for thumbnail in _thumbnails(frames)]

    def _starts(self, thumbnail: torch.Tensor) -> bool:
        last, self._last = self._last, thumbnail
        if last is None:
            return True
        change = float((thumbnail - last).abs().mean())
        cut = change > self.difference and change > self.ratio * self._usual
        self._usual = 0.8 * self._usual + 0.2 * change
        return cut


def _thumbnails(frames: torch.Tensor, side: int = 16) -> torch.Tensor:
    """uint8 [T, H, W, 3] to float [T, 3, side, side] of mean 0 per colour and standard deviation 1."""
    stride = max(1, min(frames.shape[1:3]) // (4 * side))
    small = frames[:, ::stride, ::stride].permute(0, 3, 1, 2).float()
    small = F.adaptive_avg_pool2d(small, side).cpu()
    small = small - small.mean((-1, -2), keepdim=True)
    # Below 8 grey levels of contrast there is only noise, which must not be blown up.
    return small / small.std((1, 2, 3), keepdim=True).clamp(min=8)
