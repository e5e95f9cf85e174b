"""The network of YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023).

Depthwise-separable convolutions and four detection heads at strides 8 to 64; key names are those of the published
weights ``yunet_final.pth``. Written out here because its place in kornia depends on the version.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

WIDTH = 64
BOXES = (3, 2, 2, 3)  # prior boxes per position of each head
OUTPUTS = (14, 2, 1)  # offsets of box and five points, class scores (none, face), quality of the box


def separable(inputs: int, outputs: int, activated: bool = True) -> nn.Sequential:
    """1 x 1 convolution, then 3 x 3 per channel; with ``activated`` batch norm and ReLU behind."""
    layers = {
        "conv1": nn.Conv2d(inputs, outputs, 1),
        "conv2": nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs),
    }
    if activated:
        layers |= {"bn": nn.BatchNorm2d(outputs), "relu": nn.ReLU(inplace=True)}
    return nn.Sequential(OrderedDict(layers))


def stage(inputs: int, outputs: int, activated: bool = True) -> nn.Sequential:
    """Two separable convolutions; ``activated`` concerns the second."""
    layers = {"conv1": separable(inputs, inputs), "conv2": separable(inputs, outputs, activated)}
    return nn.Sequential(OrderedDict(layers))


def stem(width: int) -> nn.Sequential:
    """The first layers, which halve the picture."""
    layers = {
        "conv1": nn.Conv2d(3, width, 3, stride=2, padding=1),
        "bn1": nn.BatchNorm2d(width),
        "relu": nn.ReLU(inplace=True),
        "conv2": separable(width, width),
    }
    return nn.Sequential(OrderedDict(layers))


class YuNet(nn.Module):
    """Raw detections of a batch of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.model0 = stem(WIDTH // 4)
        self.model1 = stage(WIDTH // 4, WIDTH)
        for number in range(2, 7):
            self.add_module(f"model{number}", stage(WIDTH, WIDTH))
        self.head = nn.Sequential(*(stage(WIDTH, count * sum(OUTPUTS), False) for count in BOXES))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[B, 3, H, W] blue, green, red in 0..255, H and W multiples of 32 and at least 64.

        Returns:
            for all N prior boxes, stride by stride, row by row: offsets [B, N, 14]; probability of a face [B, N];
            quality of the box [B, N], about 0 to 1.
        """
        x = F.max_pool2d(self.model0(x), 2)
        x = F.max_pool2d(self.model2(self.model1(x)), 2)
        maps = [self.model3(x)]
        for deeper in (self.model4, self.model5, self.model6):
            maps.append(deeper(F.max_pool2d(maps[-1], 2)))
        rows = [
            head(features).permute(0, 2, 3, 1).reshape(len(x), -1, sum(OUTPUTS))
            for head, features in zip(self.head, maps)
        ]
        offsets, classes, quality = torch.cat(rows, 1).split(OUTPUTS, dim=-1)
        return offsets, classes.softmax(-1)[..., 1], quality[..., 0]
