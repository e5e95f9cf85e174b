"""Frames in memory, read like a file."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import torch

from ..errors import InputError
from .encoding import DEFAULT_COLOUR
from .info import VideoInfo
from .picture import ImagePicture
from .reader import Frame

NAME = "the image batch"


class MemoryReader:
    """A batch of pictures at a constant frame rate, with the interface of :class:`VideoReader`.

    Args:
        images: [T, H, W, C] RGB, uint8 or float in [0, 1]; one or two channels are grey, alpha is left out.
        frame_rate: frames per second.

    Raises:
        InputError: no picture, or a frame rate that is not positive.
    """

    source = NAME
    damaged_packets = 0

    def __init__(self, images: torch.Tensor, frame_rate: Fraction | float) -> None:
        if not len(images):
            raise InputError("The image batch is empty; connect at least one picture.")
        if frame_rate <= 0:
            raise InputError(f"The frame rate {float(frame_rate):g} of the image batch is not positive; give 25, say.")
        rate = Fraction(frame_rate).limit_denominator(1001)
        count, height, width = images.shape[:3]
        self.images = images
        self.info = VideoInfo(
            path=NAME,
            width=width,
            height=height,
            frame_rate=rate,
            duration=float(count / rate),
            frame_count=count,
            has_audio=False,
            colour=DEFAULT_COLOUR,
            pixel_format="rgb24",
            bit_depth=8,
            pixel_aspect=Fraction(1),
            time_base=1 / rate,
            first_pts=0,
        )

    def __enter__(self) -> MemoryReader:
        return self

    def __exit__(self, *_) -> None:
        """Nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self) -> Iterator[Frame]:
        """All frames in order; times strictly increase from 0."""
        return (self._frame(index) for index in range(len(self.images)))

    def segment(self, first: int, end: int) -> list[Frame]:
        """Frames ``first`` to ``end`` - 1."""
        return [self._frame(index) for index in range(first, end)]

    def _frame(self, index: int) -> Frame:
        image = self.images[index].cpu()
        image = image[..., :3] if image.shape[-1] >= 3 else image[..., :1].expand(-1, -1, 3)
        return Frame(ImagePicture(image), float(index / self.info.frame_rate), index, index)
