from __future__ import annotations

import struct
from fractions import Fraction
from math import ceil

import av
import numpy as np
import pytest
import torch

from lipforcing.media.orientation import Orientation
from lipforcing.media.pixels import Grid, copied, gather, layout_of, read, samples, spread, unpacked

from .clips import noise_frame
from .test_orientation import TURNS

YUV = [
    *("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p"),
    *("yuv420p9le", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv444p12le", "yuv420p16le"),
    *("nv12", "nv21", "nv16", "nv24", "nv42", "p010le", "p012le", "p016le", "p210le", "p410le"),
    *("yuva420p", "yuva422p", "yuva444p", "yuva444p10le", "yuva444p12le", "yuva444p16le"),
]
RGB = [
    *("rgb24", "bgr24", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr", "gbrp", "gbrap"),
    *("gbrp10le", "gbrp12le", "gbrap12le", "gbrp16le", "rgb48le", "bgr48le", "rgba64le", "bgra64le"),
]
GREY = ["gray", "gray10le", "gray12le", "gray16le", "ya8", "ya16le"]


@pytest.mark.parametrize("pixel_format", [*YUV, *RGB, *GREY])
def test_components_lie_where_ffmpeg_has_them(pixel_format):
    """FFmpeg itself takes a picture of one colour apart."""
    layout = layout_of(pixel_format)
    frame, top = av.VideoFrame(16, 16, pixel_format), 2**layout.bits
    values = [top * share // 16 for share in (3, 9, 13, 7)][: len(layout.places)]
    if layout.alpha:
        values[-1] = top - 1
    for number, value in enumerate(values):
        samples(frame, number)[:] = value << layout.shift
    if layout.kind == "yuv":
        name = f"yuv444p{'' if layout.bits == 8 else '16le'}"
        plain = frame.reformat(format=name, src_color_range=1, dst_color_range=1) if not layout.full_range else frame
        taken = [np.frombuffer(plane, np.uint8 if layout.bits == 8 else np.uint16)[0] for plane in plain.planes]
    elif layout.kind == "rgb":
        taken = frame.reformat(format="rgb24" if layout.bits == 8 else "rgb48le").to_ndarray()[0, 0]
    else:
        taken = [frame.reformat(format="gray" if layout.bits == 8 else "gray16le").to_ndarray()[0, 0]]
    scale = 2**16 / top if layout.bits > 8 else 1
    assert [int(value) for value in taken] == pytest.approx([v * scale for v in values[: len(taken)]], abs=2 * scale)
    assert [float(read(samples(frame, number), layout)[-1, -1]) for number in range(len(values))] == values


# The plain format, and where its components lie: plane, first sample and distance to the next in bytes.
PACKED = {
    "yuyv422": ("yuv422p", [(0, 0, 2), (0, 1, 4), (0, 3, 4)]),
    "uyvy422": ("yuv422p", [(0, 1, 2), (0, 0, 4), (0, 2, 4)]),
    "yuv420p10be": ("yuv420p10le", [(0, 0, 2), (1, 0, 2), (2, 0, 2)]),
    "rgb48be": ("rgb48le", [(0, 0, 6), (0, 2, 6), (0, 4, 6)]),
    "gray16be": ("gray16le", [(0, 0, 2)]),
}


@pytest.mark.parametrize("pixel_format", PACKED)
def test_other_orders_in_memory_keep_their_samples(pixel_format):
    plain, places = PACKED[pixel_format]
    frame = av.VideoFrame(16, 8, pixel_format)
    planes = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1) for plane in frame.planes]
    for plane in planes:
        plane[:] = np.random.default_rng(plane.size).integers(0, 4, plane.shape)  # as two bytes less than 10 bits
    result = unpacked(frame)
    assert result.format.name == plain
    for number, (plane, first, step) in enumerate(places):
        expected = planes[plane][:, first::step].astype(int)
        if pixel_format.endswith("be"):
            expected = 256 * expected + planes[plane][:, first + 1 :: step]
        place = samples(result, number)
        np.testing.assert_array_equal(place, expected[:, : place.shape[1]])


def test_a_palette_becomes_colours():
    frame = av.VideoFrame(4, 2, "pal8")
    np.frombuffer(frame.planes[0], np.uint8).reshape(2, -1)[:, :4] = [[0, 1, 2, 3], [3, 2, 1, 0]]
    colours = np.array([[10, 20, 30, 255], [40, 50, 60, 0], [70, 80, 90, 255], [1, 2, 3, 128]], np.uint8)
    np.frombuffer(frame.planes[1], np.uint8)[:16] = colours[:, [2, 1, 0, 3]].ravel()  # stored as BGRA
    result = unpacked(frame)
    read_back = np.stack([samples(result, number) for number in range(4)], -1)
    np.testing.assert_array_equal(read_back, colours[[[0, 1, 2, 3], [3, 2, 1, 0]]])


def test_uncompressed_avi_is_read_from_its_top_row(tmp_path):
    """Its rows are stored from bottom to top, which FFmpeg expresses by a negative distance between rows."""
    path, image = tmp_path / "a.avi", np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 8, 6, "bgr24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    # FFmpeg writes a negative height, for rows from top to bottom; other programs do not.
    path.write_bytes(path.read_bytes().replace(struct.pack("<i", -6), struct.pack("<i", 6)))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.planes[0].line_size < 0
        plain = unpacked(frame)
        np.testing.assert_array_equal(np.stack([samples(plain, n) for n in (2, 1, 0)], -1), image[::-1])


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv422p10le", "gbrp", "rgba", "gray12le"])
def test_a_copy_is_equal_and_independent(pixel_format):
    frame = noise_frame(pixel_format, 37, 23)
    frame.colorspace = 9
    copy = copied(frame)
    before = [samples(copy, number).copy() for number in range(len(layout_of(pixel_format).places))]
    for number, values in enumerate(before):
        np.testing.assert_array_equal(values, samples(frame, number))
        samples(frame, number)[:] = 0
        np.testing.assert_array_equal(values, samples(copy, number))
    assert (copy.format.name, copy.width, copy.height, copy.colorspace) == (pixel_format, 37, 23, 9)


# Shares of a block's width and height, by FFmpeg's chroma position.
SITES = {1: (0, 0.5), 2: (0.5, 0.5), 3: (0, 0), 4: (0.5, 0), 5: (0, 1), 6: (0.5, 1)}


def ramp(x, y):
    return 40 + 3 * x + 7 * y


def at_samples(grid: Grid, columns: range, rows: range) -> torch.Tensor:
    x = grid.x + grid.across * torch.tensor(columns, dtype=torch.float32)
    y = grid.y + grid.down * torch.tensor(rows, dtype=torch.float32)
    return ramp(x[None], y[:, None])


@pytest.mark.parametrize("across, down", [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (4, 4)])
@pytest.mark.parametrize("siting", SITES)
def test_chroma_neither_shifts_nor_scales(across, down, siting):
    grid = Grid.chroma(across, down, siting)
    assert (grid.x, grid.y) == (SITES[siting][0] * (across - 1), SITES[siting][1] * (down - 1))
    around = at_samples(grid, range(-1, 6), range(-1, 4))
    x, y = torch.arange(5 * across), torch.arange(3 * down)
    torch.testing.assert_close(spread(around, grid), ramp(x[None], y[:, None]).float())
    x, y = torch.arange(-across, 6 * across), torch.arange(-down, 4 * down)
    torch.testing.assert_close(gather(ramp(x[None], y[:, None]).float(), grid), around[1:-1, 1:-1])


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("siting", SITES)
@pytest.mark.parametrize("width, height", [(8, 6), (7, 5)])
def test_chroma_turns_with_the_picture(turn, siting, width, height):
    grid = Grid.chroma(2, 2, siting)
    stored = at_samples(grid, range(ceil(width / 2)), range(ceil(height / 2))).numpy()
    pixels = np.array([[ramp(x, y) for x in range(-2, width + 2)] for y in range(-2, height + 2)], float)
    upright, seen = turn.upright(stored), turn.upright(pixels)
    turned = grid.upright(turn, width, height)
    for (row, column), value in np.ndenumerate(upright):
        x, y = turned.x + turned.across * column + 2, turned.y + turned.down * row + 2
        near = seen[int(y) : int(y) + 2, int(x) : int(x) + 2]
        fx, fy = x % 1, y % 1
        expected = np.array([1 - fy, fy]) @ near @ np.array([1 - fx, fx])
        assert value == pytest.approx(expected)


def test_a_turned_position_has_ffmpegs_number_or_none():
    left = Grid.chroma(2, 2, 1)
    sitings = {turn: left.upright(turn, 8, 6).siting for turn in TURNS}
    assert sitings[Orientation()] == sitings[Orientation(flip_y=True)] == 1
    assert sitings[Orientation(swap=True)] == sitings[Orientation(swap=True, flip_x=True)] == 4
    assert sitings[Orientation(swap=True, flip_y=True)] == 6
    assert sitings[Orientation(flip_x=True)] is None


def test_fields_and_captions_are_copied(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
        stream.options = {"x264-params": "mastering-display=G(1,2)B(3,4)R(5,6)WP(7,8)L(9,1):cll=10,5"}
        frame = noise_frame("yuv420p", 32, 32)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    copy = copied(frame)
    assert frame.interlaced_frame and copy.interlaced_frame
    data = frame.side_data["MASTERING_DISPLAY_METADATA"]
    assert bytes(copy.side_data["MASTERING_DISPLAY_METADATA"]) == bytes(data)
