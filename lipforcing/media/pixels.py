"""Pixel formats: which sample of a decoded picture lies where in memory, and what pixels it stands for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Literal

import av
import numpy as np
import torch
from torch import Tensor

from .orientation import Orientation

# Formats that keep several components in one plane, and their order there ("x": unused).
_INTERLEAVED = {
    **dict.fromkeys(("nv12", "nv16", "nv24", "nv20le"), "uv"),
    **dict.fromkeys(("p010le", "p012le", "p016le", "p210le", "p212le", "p216le", "p410le", "p412le", "p416le"), "uv"),
    **dict.fromkeys(("nv21", "nv42"), "vu"),
    **{f"{order}{bits}": order for order in ("rgb", "bgr") for bits in ("24", "48le")},
    **{order: order for order in ("rgba", "bgra", "argb", "abgr")},
    **{f"{order}64le": order for order in ("rgba", "bgra")},
    **{order.replace("x", "0"): order for order in ("rgbx", "bgrx", "xrgb", "xbgr")},
    **dict.fromkeys(("ya8", "ya16le"), "ya"),
}

# FFmpeg's chroma positions, as shares of the way from the first to the last pixel of a block: across, down.
_SITES = {1: (0.0, 0.5), 2: (0.5, 0.5), 3: (0.0, 0.0), 4: (0.5, 0.0), 5: (0.0, 1.0), 6: (0.5, 1.0)}


@dataclass(frozen=True)
class Grid:
    """Where the samples of a component lie: sample (i, j) at pixel (y + i * down, x + j * across)."""

    across: int = 1
    down: int = 1
    x: float = 0.0
    y: float = 0.0

    @classmethod
    def chroma(cls, across: int, down: int, siting: int) -> Grid:
        """That of chroma with one sample for a block of ``across`` x ``down`` pixels."""
        x, y = _SITES[siting]
        return cls(across, down, x * (across - 1), y * (down - 1))

    @property
    def siting(self) -> int | None:
        """FFmpeg's chroma position, None where it has no number for this one."""
        sitings = (siting for siting in _SITES if Grid.chroma(self.across, self.down, siting) == self)
        return next(sitings, None)

    def samples(self, width: int, height: int) -> tuple[int, int]:
        """How many samples across and down a picture has."""
        return ceil(width / self.across), ceil(height / self.down)

    def upright(self, turn: Orientation, width: int, height: int) -> Grid:
        """The same samples after a picture of ``width`` x ``height`` pixels, as stored, is turned."""
        across, down, x, y = self.across, self.down, self.x, self.y
        if turn.swap:
            across, down, x, y, width, height = down, across, y, x, height, width
        columns, rows = Grid(across, down).samples(width, height)
        if turn.flip_x:
            x = width - 1 - x - across * (columns - 1)
        if turn.flip_y:
            y = height - 1 - y - down * (rows - 1)
        return Grid(across, down, x, y)


@dataclass(frozen=True)
class Layout:
    """A pixel format whose samples can be reached one by one.

    ``kind``: components are Y, U, V - R, G, B - or Y; with ``alpha`` one more. ``bits`` per sample, which lie ``shift``
    bits up in their bytes. ``across``, ``down``: pixels per chroma sample. ``places``: for each component its plane,
    the position of its first sample in a row and the distance to the next, in samples.
    """

    name: str
    kind: Literal["yuv", "rgb", "grey"]
    bits: int
    shift: int
    alpha: bool
    across: int
    down: int
    places: tuple[tuple[int, int, int], ...]

    @property
    def full_range(self) -> bool:
        """Whether the format itself says that luma and chroma use the full range: JPEG's, and grey."""
        return self.kind == "grey" or self.name.startswith("yuvj")

    def chroma(self, siting: int) -> Grid:
        """Where chroma lies."""
        return Grid.chroma(self.across, self.down, siting)

    def is_chroma(self, number: int) -> bool:
        """Whether component ``number`` is a chroma difference."""
        return self.kind == "yuv" and number in (1, 2)

    @property
    def alpha_number(self) -> int | None:
        """Which component is the opacity of the pixels, if any."""
        return len(self.places) - 1 if self.alpha else None

    @property
    def opaque(self) -> int:
        """Stored sample of an opaque pixel."""
        return (2**self.bits - 1) << self.shift

    @property
    def neutral(self) -> int:
        """Stored chroma sample of grey."""
        return 1 << self.bits - 1 << self.shift


@lru_cache(maxsize=256)
def layout_of(pixel_format: str) -> Layout | None:
    """The layout of one of FFmpeg's pixel formats, None for those that :func:`unpacked` has to rearrange."""
    described = av.VideoFormat(pixel_format, 16, 16)
    components = described.components
    bits = max((part.bits for part in components), default=0)
    odd = described.is_big_endian or described.has_palette or "msb" in pixel_format or "f16" in pixel_format
    if odd or not 8 <= bits <= 16:
        return None
    planes = [part.plane for part in components]
    order = _INTERLEAVED.get(pixel_format)
    if order is None:
        if len(set(planes)) < len(planes):
            return None
        places = tuple((plane, 0, 1) for plane in planes)
    else:
        names = "rgba" if described.is_rgb else "yuva" if "u" in order else "ya"
        shared = {name: (max(planes), first, len(order)) for first, name in enumerate(order) if name != "x"}
        places = tuple(shared.get(name, (0, 0, 1)) for name in names[: len(components)])
    return Layout(
        name=pixel_format,
        kind="rgb" if described.is_rgb else "yuv" if len(components) > 2 else "grey",
        bits=bits,
        shift=16 - bits if pixel_format.startswith("p") else 0,
        alpha=len(components) in (2, 4),
        across=16 // described.chroma_width(16),
        down=16 // described.chroma_height(16),
        places=places,
    )


def planar_yuv(bits: int, across: int, down: int, alpha: bool = False) -> str:
    """Name of the plain luma and chroma format with these properties."""
    sampling = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411", (4, 4): "410"}[across, down]
    return f"yuv{'a' if alpha else ''}{sampling}p{f'{bits}le' if bits > 8 else ''}"


def unpacked(frame: av.VideoFrame) -> av.VideoFrame:
    """The picture in a pixel format that :func:`layout_of` knows: itself, or its samples rearranged.

    Palettes become RGB, big-endian and packed luma and chroma become planes.
    """
    if layout_of(frame.format.name) is None:
        return frame.reformat(format=_plainer(frame.format))
    if any(plane.line_size < 0 for plane in frame.planes):
        return copied(frame)  # rows from bottom to top, as uncompressed AVI has them
    return frame


def _plainer(packed: av.VideoFormat) -> str:
    if packed.is_big_endian and layout_of(f"{packed.name[:-2]}le"):
        return f"{packed.name[:-2]}le"
    bits = min(16, max(8, *(part.bits for part in packed.components)))
    alpha = packed.has_palette or any(part.is_alpha for part in packed.components)
    if packed.is_rgb or packed.has_palette:
        return ("rgba" if alpha else "rgb24") if bits == 8 else ("rgba64le" if alpha else "rgb48le")
    if len(packed.components) < 3:
        return "gray" if bits == 8 else "gray16le"
    return planar_yuv(bits, 16 // packed.chroma_width(16), 16 // packed.chroma_height(16), alpha)


def samples(frame: av.VideoFrame, number: int) -> np.ndarray:
    """Component ``number`` of a frame, [rows, columns] uint8 or uint16: a view, alive as long as it is held."""
    layout = layout_of(frame.format.name)
    index, first, step = layout.places[number]
    plane = frame.planes[index]
    kind = np.dtype(np.uint8 if layout.bits == 8 else np.uint16)
    rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
    return rows[:, first : first + step * plane.width : step]


def read(place: np.ndarray, layout: Layout) -> Tensor:
    """Samples as they are stored -> code values, float32."""
    values = place >> layout.shift if layout.shift else place
    return torch.from_numpy(values.astype(np.float32))


def stored(codes: Tensor, layout: Layout) -> np.ndarray:
    """Code values -> samples as they are stored, rounded."""
    values = codes.add(0.5).clamp_(0, 2**layout.bits - 1).numpy().astype(np.uint8 if layout.bits == 8 else np.uint16)
    return values << layout.shift if layout.shift else values


class _Copier(threading.local):
    """FFmpeg's own copy of a frame, with everything that the decoder said about it (fields, siting, captions)."""

    _kind: tuple[str, int, int] | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        kind = (frame.format.name, frame.width, frame.height)
        if kind != self._kind:
            self._kind, self._graph = kind, av.filter.Graph()
            source = self._graph.add_buffer(
                format=kind[0], width=kind[1], height=kind[2], time_base=frame.time_base or Fraction(1, 25)
            )
            copy, sink = self._graph.add("copy"), self._graph.add("buffersink")
            source.link_to(copy)
            copy.link_to(sink)
            self._graph.configure()
        self._graph.push(frame)
        return self._graph.pull()


copied = _Copier()


def spread(values: Tensor, grid: Grid) -> Tensor:
    """Samples [..., n + 2, m + 2] of blocks -> pixels [..., n * down, m * across] of all but the outer blocks."""
    return _spread(_spread(values, grid.down, grid.y, -2), grid.across, grid.x, -1)


def _spread(values: Tensor, per: int, first: float, axis: int) -> Tensor:
    count = values.shape[axis] - 2
    if per == 1:
        return values.narrow(axis, 1, count)
    after = axis % values.ndim + 1
    pixels = values.new_empty(*values.shape[: after - 1], count, per, *values.shape[after:])
    for phase in range(per):  # linear between the samples before and after the pixel
        at = (phase - first) / per
        before = 0 if at >= 0 else -1
        low, high = (values.narrow(axis, before + skip, count) for skip in (1, 2))
        torch.lerp(low, high, at - before, out=pixels.select(after, phase))
    return pixels.flatten(after - 1, after)


def gather(values: Tensor, grid: Grid) -> Tensor:
    """Pixels [..., (n + 2) * down, (m + 2) * across] -> samples [..., n, m] of all but the outer blocks.

    A sample is the mean of as many pixels as it stands for, around the place where it lies.
    """
    return _gather(_gather(values, grid.down, grid.y, -2), grid.across, grid.x, -1)


def _gather(values: Tensor, per: int, first: float, axis: int) -> Tensor:
    count = values.shape[axis] // per - 2
    if per == 1:
        return values.narrow(axis, 1, count)
    total = None
    for pixel in range(-per, 2 * per):
        overlap = min(pixel + 0.5, first + per / 2) - max(pixel - 0.5, first - per / 2)
        if overlap > 0:
            every = [slice(None)] * values.ndim
            every[axis] = slice(per + pixel, per + pixel + per * (count - 1) + 1, per)
            part = values[tuple(every)]
            total = part * (overlap / per) if total is None else total.add_(part, alpha=overlap / per)
    return total
