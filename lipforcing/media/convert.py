"""Between the stored samples of a decoded picture and RGB: whole pictures, rectangles, patches, thumbnails, encoders.

Chroma is brought to the pixels linearly, and back by the mean of the pixels around its place, both with the siting of
the picture, so that nothing shifts however often a picture is read and written.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from torch import Tensor
from torch.nn import functional

from .colour import FULL, Colour, tag
from .orientation import UPRIGHT, Orientation
from .pixels import Grid, Layout, gather, layout_of, read, samples, spread, stored

# Rows that are converted at a time, a multiple of every chroma block: what stays in a processor's cache.
_STRIP = 64

# H.273 matrix -> swscale's own number for it.
_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}

# BILINEAR | ACCURATE_RND | FULL_CHR_H_INT. swscale's default rounding darkens 4:2:0 video by one to two levels.
_EXACT = 0x2 | 0x40000 | 0x2000


@dataclass(frozen=True)
class Raster:
    """Pictures as an encoder wants them.

    Attributes:
        pixel_format: FFmpeg's name.
        width, height: up to a block of chroma more than the picture, which is filled by repeating its last column, row.
        colour: resolved.
        chroma: where its chroma lies.
    """

    pixel_format: str
    width: int
    height: int
    colour: Colour
    chroma: Grid

    def frame(self) -> av.VideoFrame:
        """A new one, not filled."""
        frame = av.VideoFrame(self.width, self.height, self.pixel_format)
        tag(frame, self.colour)
        return frame


def rgb_of(frame: av.VideoFrame, colour: Colour, top: int, left: int, height: int, width: int) -> Tensor:
    """A rectangle of the picture as stored, float32 [3, height, width] RGB in [0, 1]."""
    layout = layout_of(frame.format.name)
    rows, columns = slice(top, top + height), slice(left, left + width)
    if layout.kind == "rgb":
        codes = [read(samples(frame, number)[rows, columns], layout) for number in range(3)]
        return torch.stack(codes).div_(2**layout.bits - 1)
    luma = read(samples(frame, 0)[rows, columns], layout)
    if layout.kind == "grey":
        black, span, _, _ = colour.levels(layout.bits)
        return luma.sub_(black).div_(span).clamp_(0, 1).expand(3, -1, -1)
    grid = layout.chroma(colour.siting)
    blue, red = _at_pixels([samples(frame, number) for number in (1, 2)], layout, grid, top, left, height, width)
    return colour.to_rgb(luma, blue, red, layout.bits)


def _at_pixels(
    places: Sequence[np.ndarray], layout: Layout, grid: Grid, top: int, left: int, height: int, width: int
) -> Tensor:
    """Chroma of the pixels of a rectangle, [C, height, width]; beyond the picture it goes on as at its border."""
    if (grid.across, grid.down) == (1, 1):
        return torch.stack([read(place[top : top + height, left : left + width], layout) for place in places])
    rows, above, below = _blocks_and_neighbours(top, height, grid.down, places[0].shape[0])
    columns, before, after = _blocks_and_neighbours(left, width, grid.across, places[0].shape[1])
    values = torch.stack([read(place[rows, columns], layout) for place in places])
    values = functional.pad(values, (before, after, above, below), mode="replicate")
    top, left = top % grid.down, left % grid.across
    return spread(values, grid)[:, top : top + height, left : left + width]


def _blocks_and_neighbours(first: int, length: int, per: int, count: int) -> tuple[slice, int, int]:
    """Samples for pixels ``first`` to ``first + length`` - 1 and one more on both sides, and how many of them miss."""
    start, end = first // per - 1, (first + length - 1) // per + 2
    there = slice(max(start, 0), min(end, count))
    return there, there.start - start, end - there.stop


def image_of(frame: av.VideoFrame, colour: Colour) -> np.ndarray:
    """The whole picture as stored, uint8 [H, W, 3] RGB."""
    image = torch.empty(frame.height, frame.width, 3, dtype=torch.uint8)
    for top in range(0, frame.height, _STRIP):
        strip = rgb_of(frame, colour, top, 0, min(_STRIP, frame.height - top), frame.width)
        image[top : top + _STRIP] = (strip * 255).round_().permute(1, 2, 0)
    return image.numpy()


_scaler = threading.local()


def thumbnail_of(frame: av.VideoFrame, colour: Colour, height: int, width: int) -> np.ndarray:
    """The picture as stored, scaled straight from its planes: uint8 [height, width, 3] RGB."""
    if not hasattr(_scaler, "scaler"):
        _scaler.scaler = VideoReformatter()  # keeps swscale's tables; not for two threads at a time
    rgb = layout_of(frame.format.name).kind == "rgb"
    matrix = _SWSCALE_MATRIX[colour.matrix]
    small = _scaler.scaler.reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=matrix,
        # RGB has no matrix, but swscale goes through one from RGB to RGB; and PyAV before 17 tells it of matrix and
        # range only where it sees two different matrices.
        dst_colorspace=matrix if rgb else 1 if matrix != 1 else 5,
        src_color_range=FULL if rgb else colour.range,
        dst_color_range=FULL,
        interpolation=_EXACT,
    )
    return small.to_ndarray()


def frame_of(rgb: Tensor, raster: Raster) -> av.VideoFrame:
    """RGB [3, h, w], uint8 or float in [0, 1] -> a frame of the raster; alpha is opaque."""
    frame, layout = raster.frame(), layout_of(raster.pixel_format)
    places = [samples(frame, number) for number in range(len(layout.places))]
    height, width = rgb.shape[1:]
    across, down = layout.across, layout.down
    for top in range(0, height, _STRIP):
        end = min(top + _STRIP, height)
        start, stop = top - down, end + -end % down + down  # with chroma's neighbours
        first, last = max(start, 0), min(stop, height)
        strip = rgb[:, first:last].to(torch.float32, memory_format=torch.contiguous_format)
        codes = codes_of(strip if rgb.is_floating_point() else strip.div_(255), layout, raster.colour)
        for number, values in enumerate(codes):
            if not layout.is_chroma(number):
                places[number][top:end, :width] = stored(values[top - first : end - first], layout)
        if layout.kind == "yuv":
            border = (across, across + -width % across, first - start, stop - last)
            blocks = functional.pad(codes[1:], border, mode="replicate")
            for place, values in zip(places[1:], gather(blocks, raster.chroma)):
                place[top // down : -(-end // down)] = stored(values, layout)
    for number, place in enumerate(places):
        if number == layout.alpha_number:
            place[:] = layout.opaque
        elif not layout.is_chroma(number):
            _fill(place, place[:height, :width])
    return frame


def codes_of(rgb: Tensor, layout: Layout, colour: Colour) -> Tensor:
    """RGB [3, h, w] in [0, 1] -> code values [C, h, w] of the components of a layout, without alpha, not rounded."""
    if layout.kind == "rgb":
        return rgb * (2**layout.bits - 1)
    codes = colour.from_rgb(rgb, layout.bits)
    return codes if layout.kind == "yuv" else codes[:1]


def blend(frame: av.VideoFrame, colour: Colour, top: int, left: int, rgb: Tensor, opacity: Tensor) -> None:
    """Lay pixels over a rectangle of a frame as stored, in its own samples.

    A luma sample changes where ``opacity`` is above 0, a chroma sample where that of any pixel of its block is. Chroma
    is weighted by opacity before it is reduced, so that pixels that are not laid on do not colour their neighbours.

    Args:
        frame: changed in place.
        colour: of the frame, resolved.
        top, left: of the rectangle, which lies inside the picture.
        rgb: float [3, h, w] in [0, 1].
        opacity: float [1, h, w] in [0, 1].
    """
    layout = layout_of(frame.format.name)
    height, width = opacity.shape[1:]
    codes = codes_of(rgb, layout, colour)
    for number, values in enumerate(codes):
        if not layout.is_chroma(number):
            place = samples(frame, number)[top : top + height, left : left + width]
            place[:] = stored(torch.lerp(read(place, layout), values, opacity[0]), layout)
    if layout.kind == "yuv":
        grid = layout.chroma(colour.siting)
        layers = torch.cat((opacity, codes[1:] * opacity))
        blocks = _in_blocks(layers, grid, top, left, frame.height, frame.width)
        inside = blocks[0, grid.down : -grid.down, grid.across : -grid.across]
        rows = functools.reduce(torch.maximum, (inside[y :: grid.down] for y in range(grid.down)))
        touched = functools.reduce(torch.maximum, (rows[:, x :: grid.across] for x in range(grid.across))) > 0
        weight, *chroma = gather(blocks, grid).mul_(touched)
        row, column = top // grid.down, left // grid.across
        for number, values in enumerate(chroma, 1):
            place = samples(frame, number)[row : row + weight.shape[0], column : column + weight.shape[1]]
            codes = read(place, layout)
            place[:] = stored(codes.addcmul(codes, weight, value=-1).add_(values), layout)


def _in_blocks(values: Tensor, grid: Grid, top: int, left: int, height: int, width: int) -> Tensor:
    """Values [C, h, w] of a rectangle of a picture -> whole blocks around them, and one more on each side.

    Beyond the picture's borders they go on as at the border, else with 0.
    """
    y, x = grid.down + top % grid.down, grid.across + left % grid.across
    below, after = y + values.shape[1], x + values.shape[2]
    rows, columns = (-(-end // per) * per + per for end, per in ((below, grid.down), (after, grid.across)))
    blocks = values.new_zeros(len(values), rows, columns)
    blocks[:, y:below, x:after] = values
    if top == 0:
        blocks[:, :y] = blocks[:, y : y + 1]
    if top + values.shape[1] == height:
        blocks[:, below:] = blocks[:, below - 1 : below]
    if left == 0:
        blocks[:, :, :x] = blocks[:, :, x : x + 1]
    if left + values.shape[2] == width:
        blocks[:, :, after:] = blocks[:, :, after - 1 : after]
    return blocks


def arranged(frame: av.VideoFrame, colour: Colour, turn: Orientation, raster: Raster) -> av.VideoFrame:
    """A decoded frame, turned upright, as an encoder wants it; the very frame where it is that already.

    Samples are moved, not converted, where depth and chroma grid are the same: in a rotation, in another order in
    memory, at a size that is filled up. Else depth and chroma are converted, and only between RGB and others colours.
    """
    layout, target = layout_of(frame.format.name), layout_of(raster.pixel_format)
    if turn == UPRIGHT and (layout, frame.width, frame.height) == (target, raster.width, raster.height):
        return frame
    if (layout.kind == "rgb") != (target.kind == "rgb"):
        rgb = rgb_of(frame, colour, 0, 0, frame.height, frame.width).numpy()
        return frame_of(torch.from_numpy(np.ascontiguousarray(turn.upright(rgb))), raster)
    size = turn.size(frame.width, frame.height)
    grid = layout.chroma(colour.siting).upright(turn, frame.width, frame.height)
    result = raster.frame()
    for number in range(len(target.places)):
        place, own = samples(result, number), number
        if number == target.alpha_number:
            own = layout.alpha_number
        if own is None:
            place[:] = target.opaque
        elif target.is_chroma(number) and not layout.is_chroma(number):
            place[:] = target.neutral
        else:
            moved = turn.upright(samples(frame, own))
            same_grid = not target.is_chroma(number) or grid == raster.chroma
            if same_grid and layout.bits == target.bits:
                moved = moved >> layout.shift << target.shift
            else:
                codes = read(moved, layout)
                codes = codes if same_grid else _resampled(codes, grid, raster.chroma, *size)
                moved = stored(_rescaled(codes, layout, target, number, colour), target)
            _fill(place, moved)
    return result


def _resampled(codes: Tensor, grid: Grid, to: Grid, width: int, height: int) -> Tensor:
    """Chroma [n, m] of one grid -> [n', m'] of another."""
    pixels = spread(functional.pad(codes[None], (1, 1, 1, 1), mode="replicate"), grid)[:, :height, :width]
    return gather(_in_blocks(pixels, to, 0, 0, height, width), to)[0]


def _rescaled(codes: Tensor, layout: Layout, target: Layout, number: int, colour: Colour) -> Tensor:
    """Code values of a component at one depth -> at another."""
    if number == target.alpha_number or layout.kind == "rgb":
        return codes * ((2**target.bits - 1) / (2**layout.bits - 1))
    scale = slice(2, 4) if target.is_chroma(number) else slice(0, 2)
    (zero, span), (to_zero, to_span) = (colour.levels(bits)[scale] for bits in (layout.bits, target.bits))
    return (codes - zero) * (to_span / span) + to_zero


def _fill(place: np.ndarray, pixels: np.ndarray) -> None:
    """Put pixels into a plane that may be larger; the last column and row are repeated."""
    height, width = pixels.shape
    place[:height, :width] = pixels
    place[:height, width:] = place[:height, width - 1 : width]
    place[height:] = place[height - 1 : height]
