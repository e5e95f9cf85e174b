"""Pictures as they were decoded, regions and thumbnails of them on demand, and generated pixels laid over them.

A picture keeps the planes that its decoder made. What is looked at is converted when it is asked for, at its own size;
what is generated is blended into the planes. So nothing outside of the patches changes, not even by rounding, and a
frame costs what is done with it and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .colour import Colour
from .convert import Raster, arranged, blend, frame_of, image_of, rgb_of, thumbnail_of
from .orientation import UPRIGHT, Orientation
from .pixels import copied

Rectangle = tuple[int, int, int, int]
"""top, left, height, width in pixels of an upright picture."""


@dataclass(frozen=True, eq=False)
class Patch:
    """Generated pixels for a rectangle of an upright picture, which lies inside of it.

    Attributes:
        top, left: of the rectangle, in pixels.
        pixels: float [3, h, w] RGB in [0, 1].
        opacity: float [1, h, w] in [0, 1]; where it is 0 the picture stays as it is.
    """

    top: int
    left: int
    pixels: Tensor = field(repr=False)
    opacity: Tensor = field(repr=False)

    @property
    def rectangle(self) -> Rectangle:
        return self.top, self.left, *self.opacity.shape[1:]


class Picture(Protocol):
    """One picture as it was decoded; immutable. ``height`` and ``width`` are those of the upright picture."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def rgb(self) -> Tensor:
        """The whole picture, uint8 [H, W, 3] RGB."""

    def thumbnail(self, height: int, width: int) -> Tensor:
        """The whole picture at another size, uint8 [height, width, 3] RGB."""

    def region(self, top: int, left: int, height: int, width: int) -> Tensor:
        """A rectangle inside the picture, float32 [3, height, width] RGB in [0, 1], in full precision.

        These are the non-linear values as coded: neither PQ nor HLG is mapped to the range of a screen.
        """

    def patched(self, patches: Sequence[Patch]) -> Picture:
        """A new picture with the patches laid over this one, the later ones on top.

        Only samples under an opacity above 0 change; a chroma sample lies under all pixels of its block.
        """

    def coded(self, raster: Raster) -> av.VideoFrame:
        """The picture for an encoder, without a copy where it is in the right format already."""


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A decoder's frame.

    Attributes:
        frame: as decoded, in a format of :func:`~.pixels.layout_of`. Its time stamps belong to whoever encodes it.
        colour: what its samples mean, resolved.
        orientation: how it is turned for display.
    """

    frame: av.VideoFrame = field(repr=False)
    colour: Colour
    orientation: Orientation = UPRIGHT

    @property
    def height(self) -> int:
        return self.orientation.size(self.frame.width, self.frame.height)[1]

    @property
    def width(self) -> int:
        return self.orientation.size(self.frame.width, self.frame.height)[0]

    def rgb(self) -> Tensor:
        return self._upright_image(image_of(self.frame, self.colour))

    def thumbnail(self, height: int, width: int) -> Tensor:
        width, height = self.orientation.size(width, height)
        return self._upright_image(thumbnail_of(self.frame, self.colour, height, width))

    def region(self, top: int, left: int, height: int, width: int) -> Tensor:
        top, left = self.orientation.stored_corner(top, left, (height, width), (self.height, self.width))
        width, height = self.orientation.size(width, height)
        rgb = rgb_of(self.frame, self.colour, top, left, height, width)
        return torch.from_numpy(np.ascontiguousarray(self.orientation.upright(rgb.numpy())))

    def patched(self, patches: Sequence[Patch]) -> DecodedPicture:
        frame = copied(self.frame)
        for patch in patches:
            shape = tuple(patch.opacity.shape[1:])
            top, left = self.orientation.stored_corner(patch.top, patch.left, shape, (self.height, self.width))
            blend(frame, self.colour, top, left, self._as_stored(patch.pixels), self._as_stored(patch.opacity))
        return replace(self, frame=frame)

    def coded(self, raster: Raster) -> av.VideoFrame:
        return arranged(self.frame, self.colour, self.orientation, raster)

    def _upright_image(self, image: np.ndarray) -> Tensor:
        upright = self.orientation.upright(image.transpose(2, 0, 1)).transpose(1, 2, 0)
        return torch.from_numpy(np.ascontiguousarray(upright))

    def _as_stored(self, values: Tensor) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.orientation.stored(values.float().cpu().numpy())))


@dataclass(frozen=True, eq=False)
class ImagePicture:
    """A picture in memory: ``image`` [H, W, 3] RGB, uint8 or float in [0, 1]; floats stay floats when patched."""

    image: Tensor = field(repr=False)

    @property
    def height(self) -> int:
        return self.image.shape[0]

    @property
    def width(self) -> int:
        return self.image.shape[1]

    def rgb(self) -> Tensor:
        return _as_bytes(self.image)

    def thumbnail(self, height: int, width: int) -> Tensor:
        pixels = self.region(0, 0, self.height, self.width)[None]
        small = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
        return _as_bytes(small[0].permute(1, 2, 0))

    def region(self, top: int, left: int, height: int, width: int) -> Tensor:
        return _as_floats(self.image[top : top + height, left : left + width].permute(2, 0, 1)).contiguous()

    def patched(self, patches: Sequence[Patch]) -> ImagePicture:
        image = self.image.clone()
        for patch in patches:
            height, width = patch.opacity.shape[1:]
            under = image[patch.top : patch.top + height, patch.left : patch.left + width]
            opacity, pixels = (values.to(image.device, torch.float32) for values in (patch.opacity, patch.pixels))
            codes = under.permute(2, 0, 1).float()
            scale = 1 if image.is_floating_point() else 255
            # The same sum as in planes (``convert.blend``), so that equal pictures stay equal to the bit.
            blended = torch.lerp(codes, pixels * scale, opacity).permute(1, 2, 0)
            if not image.is_floating_point():
                blended = blended.add_(0.5).clamp_(0, 255)
            under.copy_(blended)
        return ImagePicture(image)

    def coded(self, raster: Raster) -> av.VideoFrame:
        return frame_of(self.image.permute(2, 0, 1).cpu(), raster)


def _as_floats(image: Tensor) -> Tensor:
    return image.float() if image.is_floating_point() else image.float().div_(255)


def _as_bytes(image: Tensor) -> Tensor:
    return image.float().mul(255).round_().clamp_(0, 255).to(torch.uint8) if image.is_floating_point() else image
