"""Shot cuts, by the difference of successive thumbnails."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

SIDE = 16
THUMBNAIL = 4 * SIDE  # pixels of the thumbnails that are looked at, either way
DIFFERENCE = 0.5  # least mean absolute difference of two normalised thumbnails; unrelated pictures have about 1.1
RATIO = 5.0  # least multiple of the usual difference between frames of this shot


class CutDetector:
    """Says of every picture whether a shot starts with it; the first one of all does.

    A cut changes the picture at once and by far more than it was changing before. Thumbnails are compared after setting
    their mean colour and contrast to one norm, so that flashes, fades and exposure steps do not count.
    """

    def __init__(self) -> None:
        self._last: Tensor | None = None  # [3, 16, 16]
        self._usual = 0.0

    def __call__(self, thumbnail: Tensor) -> bool:
        """Continue with the next picture, uint8 [THUMBNAIL, THUMBNAIL, 3]."""
        last, self._last = self._last, _normalised(thumbnail)
        if last is None:
            return True
        change = float((self._last - last).abs().mean())
        cut = change > DIFFERENCE and change > RATIO * self._usual
        self._usual = 0.8 * self._usual + 0.2 * change
        return cut


def _normalised(thumbnail: Tensor) -> Tensor:
    """Float [3, 16, 16] of mean 0 per colour and standard deviation 1."""
    small = F.avg_pool2d(thumbnail.permute(2, 0, 1).float(), THUMBNAIL // SIDE)
    small = small - small.mean((-1, -2), keepdim=True)
    # Below 8 grey levels of contrast there is only noise, which must not be blown up.
    return small / small.std().clamp(min=8)
