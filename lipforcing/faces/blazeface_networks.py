"""The networks of MediaPipe's two face detectors.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs" (2019), and the deeper full-range
network of the same authors. Key names are those of ComfyUI's port (``detector_short.*`` and ``detector_full.*`` of its
file, without that prefix). Both networks predict, for N anchors that are points of the input picture, offsets in pixels
of that picture and one score.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

VALUES = 16  # per anchor: centre and size of the box, then six points, each (x, y)


class SameConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's "SAME" pads sizes that the stride divides: an odd pixel goes behind."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=(kernel - stride) // 2, groups=groups)
        self.odd = (kernel - stride) % 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(x, (0, self.odd, 0, self.odd)) if self.odd else x)


class BlazeBlock(nn.Module):
    """Depthwise and pointwise convolution around which the input is led, pooled and with empty channels appended."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: nn.Module) -> None:
        super().__init__()
        self.depthwise = SameConv2d(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pointwise(self.depthwise(x))
        if self.depthwise.stride != (1, 1):
            x = F.max_pool2d(x, self.depthwise.stride)
        if y.shape[1] > x.shape[1]:
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return self.activation(x + y)


class ShortRange(nn.Module):
    """Detector for faces within about two metres of a phone's camera; 896 anchors.

    Attributes:
        input_size: side of the square input in pixels.
        min_score: score from which MediaPipe reports a detection.
        anchors: float [N, 2], (x, y) in pixels of the input.
    """

    input_size = 128
    min_score = 0.5
    WIDTHS = (24, 24, 28, 32, 36, 42, 48, 56, 64, 72, 80, 88, 96, 96, 96, 96, 96)
    STRIDED = (2, 5, 11)

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, self.WIDTHS[0], 5, 2)
        self.blocks = nn.ModuleList(
            BlazeBlock(*widths, 2 if i in self.STRIDED else 1, nn.ReLU())
            for i, widths in enumerate(zip(self.WIDTHS, self.WIDTHS[1:]))
        )
        # The number is the side of the grid of cells; the coarse grid has six anchors in a cell, the fine one two.
        self.cls_16, self.cls_8 = nn.Conv2d(88, 2, 1), nn.Conv2d(96, 6, 1)
        self.reg_16, self.reg_8 = nn.Conv2d(88, 2 * VALUES, 1), nn.Conv2d(96, 6 * VALUES, 1)
        anchors = [_grid(side, self.input_size).repeat_interleave(count, 0) for side, count in ((16, 2), (8, 6))]
        self.register_buffer("anchors", torch.cat(anchors), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, 3, 128, 128] RGB in [-1, 1] to offsets [B, N, 16] and logits of the scores [B, N]."""
        x = F.relu(self.stem(x))
        for block in self.blocks[:11]:
            x = block(x)
        fine = x
        for block in self.blocks[11:]:
            x = block(x)
        offsets = torch.cat([_rows(self.reg_16(fine), VALUES), _rows(self.reg_8(x), VALUES)], 1)
        logits = torch.cat([_rows(self.cls_16(fine), 1), _rows(self.cls_8(x), 1)], 1)
        return offsets, logits[..., 0]


class DoubleBlock(nn.Module):
    """Two depthwise-pointwise pairs through a narrow middle, around which the input is led where its shape is kept."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.dw1 = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs)
        self.pw1 = nn.Conv2d(inputs, middle, 1)
        self.dw2 = nn.Conv2d(middle, middle, 3, padding=1, groups=middle)
        self.pw2 = nn.Conv2d(middle, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pw2(self.dw2(F.relu(self.pw1(self.dw1(x)))))
        return F.relu(x + y if x.shape == y.shape else y)


class FullRange(nn.Module):
    """Detector for faces near and far; 2304 anchors. Attributes as of :class:`ShortRange`."""

    input_size = 192
    min_score = 0.6
    TAPS = (4, 7, 10)  # blocks whose output the decoder reads as well

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, padding=1)
        self.backbone = nn.ModuleList([DoubleBlock(32, 8, 32), DoubleBlock(32, 8, 32)])
        for inputs, middle, outputs, repeats in (
            (32, 16, 64, 2),
            (64, 32, 128, 2),
            (128, 48, 192, 2),
            (192, 96, 384, 3),
        ):
            self.backbone.append(DoubleBlock(inputs, middle, outputs, 2))
            self.backbone.extend(DoubleBlock(outputs, middle, outputs) for _ in range(repeats))
        self.lateral_convs = nn.ModuleList([nn.Conv2d(64, 48, 1), nn.Conv2d(128, 64, 1), nn.Conv2d(192, 96, 1)])
        self.top_conv = nn.Conv2d(384, 96, 1)
        self.decoder_levels = nn.ModuleList(
            nn.ModuleList(DoubleBlock(width, width // 2, width) for _ in range(repeats))
            for width, repeats in ((96, 2), (64, 2), (48, 1))
        )
        self.decoder_reduce_convs = nn.ModuleList([nn.Conv2d(96, 64, 1), nn.Conv2d(64, 48, 1)])
        self.cls_conv = nn.Conv2d(48, 4, 1)
        self.cls_dw = nn.Conv2d(4, 4, 3, 2, padding=1, groups=4)
        self.reg_conv = nn.Conv2d(48, 4 * VALUES, 1)
        self.reg_dw = nn.Conv2d(4 * VALUES, 4 * VALUES, 3, 2, padding=1, groups=4 * VALUES)
        self.register_buffer("anchors", _grid(48, self.input_size), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, 3, 192, 192] RGB in [-1, 1] to offsets [B, N, 16] and logits of the scores [B, N]."""
        x = F.relu(self.stem(x))
        taps = []
        for number, block in enumerate(self.backbone):
            x = block(x)
            if number in self.TAPS:
                taps.append(F.relu(self.lateral_convs[len(taps)](x)))
        for narrow, tap, level in zip((self.top_conv, *self.decoder_reduce_convs), reversed(taps), self.decoder_levels):
            x = tap + F.interpolate(F.relu(narrow(x)), scale_factor=2, mode="bilinear", align_corners=False)
            for block in level:
                x = block(x)
        offsets = _spread(self.reg_dw(self.reg_conv(x)), VALUES)
        return offsets, _spread(self.cls_dw(self.cls_conv(x)), 1)[..., 0]


def _grid(side: int, input_size: int) -> torch.Tensor:
    """Centres (x, y) of side x side cells that divide the input, row by row: [side^2, 2]."""
    centres = (torch.arange(side) + 0.5) * (input_size / side)
    return torch.cartesian_prod(centres, centres).flip(1)


def _rows(features: torch.Tensor, values: int) -> torch.Tensor:
    """[B, anchors * values, h, w] to [B, h * w * anchors, values]."""
    return features.permute(0, 2, 3, 1).reshape(len(features), -1, values)


def _spread(features: torch.Tensor, values: int) -> torch.Tensor:
    """[B, 4 * values, h, w], channels by (dy, dx, value) of a finer grid, to the rows of that grid [B, 4 h w, values].

    TensorFlow's depth to space; torch's ``pixel_shuffle`` takes the value for the slowest part of the channel.
    """
    b, _, h, w = features.shape
    return features.view(b, 2, 2, values, h, w).permute(0, 4, 1, 5, 2, 3).reshape(b, 4 * h * w, values)
