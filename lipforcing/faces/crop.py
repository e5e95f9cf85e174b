"""Cropping faces out of pictures: the rectangle that holds them is converted and uploaded, everything else is on the
device.

*Image* pixels of the whole picture, *region* pixels of a rectangle of it, and the 420 x 560 *crop*; integers are pixel
centres, matrices map in the direction that their name says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .align import CROP_SIZE, full_frame_matrix
from .warp import bounds, compose, invert, resize_bytes, resize_matrix, sample, shift_matrix, transform

FILL = 127 / 255  # grey outside the picture, as in training


class Picture(Protocol):
    """What is cropped (``lipforcing.media.Picture``)."""

    height: int
    width: int

    def region(self, top: int, left: int, height: int, width: int) -> Tensor:
        """A rectangle, float [3, height, width] RGB in [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class Region:
    """The same rectangle of several pictures.

    Attributes:
        top, left: of the rectangle, in pixels of the upright picture.
        pixels: float [T, 3, h, w] RGB in [0, 1]; h or w is 0 where the faces lie outside of the pictures.
    """

    top: int
    left: int
    pixels: Tensor

    @property
    def to_region(self) -> Tensor:
        """Image to region [2, 3]."""
        return shift_matrix(-self.left, -self.top)


def face_region(pictures: Sequence[Picture], matrices: Tensor, device: torch.device | str = "cpu") -> Region:
    """The rectangle that holds the whole crop of every picture, on ``device``.

    Args:
        pictures: T of one size.
        matrices: [T, 2, 3], image to crop.
    """
    height, width = pictures[0].height, pictures[0].width
    x0, y0, x1, y1 = bounds(transform(invert(matrices), _corners()), (height, width), margin=1 + _stride(matrices))
    if x1 <= x0 or y1 <= y0:
        return Region(0, 0, torch.zeros(len(pictures), 3, 0, 0, device=device))
    pixels = torch.stack([picture.region(y0, x0, y1 - y0, x1 - x0) for picture in pictures])
    return Region(y0, x0, pixels.to(device, non_blocking=True))


def crop_faces(region: Region, matrices: Tensor, size: tuple[int, int], picture_size: tuple[int, int]) -> Tensor:
    """Warp every face into the crop and stretch it to what the network sees.

    The warp to 420 x 560 is bilinear, as in training, with grey 127 outside of the picture; pictures of much higher
    resolution are averaged down first. The stretch to ``size`` is bicubic and antialiased. Both results have 8 bits, as
    in training. Footage that is a crop already (``align.full_frame_matrix``) is resized in one step, since the detour
    over 420 columns would cost resolution.

    Args:
        region: of T pictures (``face_region``).
        matrices: [T, 2, 3], image to crop.
        size: (height, width) of the result.
        picture_size: (H, W) of the pictures.

    Returns:
        uint8 [T, 3, *size]; column x of the crop is column (x + 0.5) size[1] / 420 - 0.5 of the result.
    """
    if torch.equal(matrices, full_frame_matrix(*picture_size).expand_as(matrices)):
        return resize_bytes(region.pixels, size)
    return resize_bytes(_warp(region, matrices), size)


def as_input(crops: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Crops of 8 bits as the networks take them, in [-1, 1]."""
    return crops.float().div_(127.5).sub_(1).to(dtype)


def _warp(region: Region, matrices: Tensor) -> Tensor:
    """The region of T pictures to crops [T, 3, 560, 420] in [0, 1]."""
    pixels = region.pixels - FILL
    if not pixels.numel():
        return pixels.new_full((len(pixels), 3, *CROP_SIZE), FILL)
    to_pixels = compose(region.to_region, invert(matrices))
    step = _stride(matrices)
    if step > 1:
        # Bilinear sampling would skip pixels and alias.
        pixels = F.avg_pool2d(pixels, step, ceil_mode=True)
        to_pixels = compose(resize_matrix((step, step), (1, 1)), to_pixels)
    return sample(pixels, to_pixels, CROP_SIZE).add_(FILL)


def _stride(matrices: Tensor) -> int:
    """Whole image pixels per crop pixel."""
    return int(invert(matrices)[..., :2].norm(dim=-2).min() + 0.25)


def _corners() -> Tensor:
    height, width = CROP_SIZE
    return torch.tensor([[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]]) - 0.5
