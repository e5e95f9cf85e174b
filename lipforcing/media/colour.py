"""Colour description of a video and exact conversion between its samples and 8-bit RGB.

Code points are those of ITU-T H.273, which every container and codec shares. Light is not converted: RGB keeps the
primaries and the transfer curve of the source, so a picture that is decoded and encoded again keeps its look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import av
import numpy as np
from av.video.reformatter import VideoReformatter

UNSPECIFIED = 2
RGB = 0
BT709 = 1
BT601 = 6
LIMITED, FULL = 1, 2

# H.273 matrix -> swscale's own number for it.
_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}

# BILINEAR | ACCURATE_RND | FULL_CHR_H_INT. swscale's default rounding darkens 4:2:0 video by one to two levels.
_EXACT = 0x2 | 0x40000 | 0x2000


@dataclass(frozen=True)
class Colour:
    """How samples mean colours. H.273 code points; ``range`` is 1 (limited, 16-235) or 2 (full), 0 if not stated."""

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def resolved(self, width: int, height: int) -> Colour:
        """Fill in what players assume where the file is silent: BT.709 for high definition, BT.601 below; limited.

        The RGB matrix resolves the same way, because what is asked is how to code this picture as luma and chroma.
        """
        matrix = self.matrix
        if matrix not in _SWSCALE_MATRIX:
            matrix = BT709 if max(width, height) >= 1280 or min(width, height) > 576 else BT601
        return replace(self, matrix=matrix, range=self.range if self.range in (LIMITED, FULL) else LIMITED)


def colour_of(context: av.VideoCodecContext) -> Colour:
    """The colour tags of a decoder (complete after its first frame)."""
    return Colour(context.colorspace, context.color_range, context.color_primaries, context.color_trc)


class ToRgb:
    """Decoded frames -> uint8 [H, W, 3] RGB, full range; ``colour`` must be resolved. Keeps swscale's tables."""

    def __init__(self, colour: Colour):
        self.colour = colour
        self._scaler = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        coded_as_rgb = frame.format.is_rgb or frame.format.has_palette
        if not coded_as_rgb:
            frame.colorspace, frame.color_range = self.colour.matrix, self.colour.range
        rgb = self._scaler.reformat(
            frame,
            format="rgb24",
            src_colorspace=_SWSCALE_MATRIX[self.colour.matrix],
            dst_colorspace=_another(self.colour.matrix),
            src_color_range=FULL if coded_as_rgb else self.colour.range,
            dst_color_range=FULL,
            interpolation=_EXACT,
        )
        return rgb.to_ndarray()


class FromRgb:
    """uint8 [H, W, 3] RGB -> frames of an 8-bit luma/chroma format, tagged with the resolved ``colour``."""

    def __init__(self, pixel_format: str, colour: Colour):
        self.colour = colour
        # swscale's chroma comes out half a level low when it makes full range at 8 bits, but not at 12.
        formats = [f"{pixel_format}12le", pixel_format] if colour.range == FULL else [pixel_format]
        self._steps = [(name, VideoReformatter()) for name in formats]

    def __call__(self, image: np.ndarray) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.colorspace, frame.color_range = self.colour.matrix, FULL
        matrix = _SWSCALE_MATRIX[self.colour.matrix]
        for pixel_format, scaler in self._steps:
            frame = scaler.reformat(
                frame,
                format=pixel_format,
                src_colorspace=_another(self.colour.matrix) if frame.format.is_rgb else matrix,
                dst_colorspace=matrix,
                src_color_range=FULL,
                dst_color_range=self.colour.range,
                interpolation=_EXACT,
            )
            frame.colorspace, frame.color_range = self.colour.matrix, self.colour.range
        return frame


def _another(matrix: int) -> int:
    """A swscale matrix for the RGB side of a conversion, where it has no meaning, other than that of ``matrix``.

    PyAV before 17 sets the matrix and the range only where it sees two different ones.
    """
    return 1 if _SWSCALE_MATRIX[matrix] != 1 else 5


def tag(context: av.VideoCodecContext, colour: Colour) -> None:
    """Write the colour tags of ``colour`` into an encoder."""
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
