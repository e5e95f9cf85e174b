"""How a stored picture is turned for display."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import Type


def _unknown(cls, value):
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return cls._value2member_map_.setdefault(value, member)


# PyAV before 19 refuses all side data of a frame when FFmpeg knows a kind that PyAV does not: EXIF, which every photo
# of a phone has. This is what PyAV 19 does.
if "_missing_" not in vars(Type):
    Type._missing_ = classmethod(_unknown)


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is turned for display: swap the axes first, then flip the results."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """From the display matrix: (x, y) goes to (a x + c y, b x + d y); only right angles are honoured."""
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return cls()
        a, b, _, c, d = struct.unpack("=9i", bytes(matrix))[:5]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def degrees(self) -> int:
        """Counterclockwise rotation, leaving out mirroring."""
        if self.swap:
            return 90 if self.flip_y else 270
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the picture as stored -> upright, and the other way round."""
        return (height, width) if self.swap else (width, height)

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """[..., H, W] as stored -> [..., H', W'] upright, a view."""
        return self._flipped(pixels.swapaxes(-1, -2) if self.swap else pixels)

    def stored(self, pixels: np.ndarray) -> np.ndarray:
        """[..., H', W'] upright -> [..., H, W] as stored, a view."""
        pixels = self._flipped(pixels)
        return pixels.swapaxes(-1, -2) if self.swap else pixels

    def stored_corner(self, top: int, left: int, shape: tuple[int, int], picture: tuple[int, int]) -> tuple[int, int]:
        """Row and column, as stored, of a rectangle (height, width) of the upright picture (height, width)."""
        top = picture[0] - top - shape[0] if self.flip_y else top
        left = picture[1] - left - shape[1] if self.flip_x else left
        return (left, top) if self.swap else (top, left)

    def _flipped(self, pixels: np.ndarray) -> np.ndarray:
        return pixels[..., :: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


UPRIGHT = Orientation()
