"""Measures the mouth of drawn faces: the instrument behind the tiny family's figures."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REGION = (slice(60, 124), slice(32, 96))  # rows and columns of a 128 x 128 crop that hold every mouth


class MouthMeter(nn.Module):
    """Reads the mouth track off pictures: a small convolutional regressor, trained on drawn faces alone.

    It never sees audio and knows nothing of time, so what it measures in a generated video comes from the picture.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        channels = (3, width, 2 * width, 3 * width, 4 * width)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(channels))
        self.out = nn.Linear(4 * 4 * channels[-1], 5)

    def forward(self, crops: Tensor) -> Tensor:
        """Aligned crops [N, 3, H, W] in [-1, 1] to (opening, width, rounding, teeth, tongue) [N, 5], each 0 to 1."""
        if crops.shape[-2:] != (128, 128):
            crops = F.interpolate(crops, (128, 128), mode="bilinear", antialias=True)
        x = crops[:, :, REGION[0], REGION[1]]
        for conv in self.convs:
            x = F.silu(conv(x))
        return self.out(x.flatten(1))


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson correlation of two tracks [T]."""
    return torch.corrcoef(torch.stack((a, b)))[0, 1].item()
