from __future__ import annotations

import gc
import io
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.media.colour import Colour
from lipforcing.media.info import probe
from lipforcing.media.reader import VideoReader

from .clips import (
    number_of,
    numbered,
    set_display_matrix,
    smooth,
    tone,
    write_video,
    write_wav,
)


def numbers(frames) -> list[int]:
    return [number_of(frame.image) for frame in frames]


def first_image(path) -> np.ndarray:
    return next(VideoReader(path).frames()).image.numpy()


def test_probe_reports_what_is_in_the_file(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(10, 48, 32), rate=Fraction(30000, 1001))
    info = probe(path)
    assert (info.width, info.height, info.frame_count) == (48, 32, 10)
    assert info.frame_rate == Fraction(30000, 1001)
    assert info.duration == pytest.approx(10 * 1001 / 30000, abs=1e-4)
    assert info.colour == Colour(6, 1, 6, 6)
    assert (info.rotation, info.bit_depth, info.pixel_format, info.has_audio) == (0, 8, "yuv420p", False)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_reads_every_frame_in_order_with_its_time(tmp_path, suffix, b_frames):
    path = write_video(tmp_path / f"a.{suffix}", numbered(30), rate=30, b_frames=b_frames)
    frames = list(VideoReader(path))
    assert numbers(frames) == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == pytest.approx([n / 30 for n in range(30)], abs=2e-5)
    info = probe(path)
    assert info.duration == pytest.approx(1, abs=0.034)
    assert info.frame_rate == 30


def test_reads_bytes_and_may_be_read_twice_at_once(tmp_path):
    data = io.BytesIO(write_video(tmp_path / "a.mp4", numbered(12)).read_bytes())
    reader = VideoReader(data)
    pairs = list(zip(reader.frames(), reader.frames()))
    assert len(pairs) == 12
    assert all(torch.equal(one.image, other.image) for one, other in pairs)


def test_leaving_the_context_closes_passes_half_way(tmp_path):
    with VideoReader(write_video(tmp_path / "a.mp4", numbered(12))) as reader:
        running = reader.frames()
        next(running)
    assert next(running, None) is None


def test_a_frame_that_nobody_holds_is_free_at_once(tmp_path):
    """Not when the garbage collector comes: at 1080p that would be gigabytes later."""
    path = write_video(tmp_path / "a.mp4", numbered(40))
    gc.collect()
    gc.disable()
    try:
        for frame in VideoReader(path):
            assert frame.picture.orientation.degrees == 0
        held = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert held < 5


@pytest.mark.parametrize("width, height", [(33, 16), (32, 17), (35, 19), (2, 2)])
def test_odd_sizes(tmp_path, width, height):
    image = smooth(width, height)
    path = write_video(tmp_path / "a.mkv", [image] * 2, codec="ffv1", pixel_format="yuv444p")
    read = first_image(path)
    assert read.shape == (height, width, 3)
    assert np.abs(read.astype(int) - image).max() <= 3


@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9])
@pytest.mark.parametrize("level_range", [1, 2])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p10le"])
def test_colours_are_converted_by_the_tags_of_the_file(tmp_path, matrix, level_range, pixel_format):
    """Luma and chroma are computed here from the standard's definition, not by the code under test."""
    width, height = 66, 34
    rgb = smooth(width, height).astype(float) / 255
    red, blue = {1: (0.2126, 0.0722), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}.get(matrix, (0.299, 0.114))
    luma = red * rgb[..., 0] + (1 - red - blue) * rgb[..., 1] + blue * rgb[..., 2]
    cb, cr = (rgb[..., 2] - luma) / (2 * (1 - blue)), (rgb[..., 0] - luma) / (2 * (1 - red))
    bits = 10 if "10" in pixel_format else 8
    top, unit = 2**bits - 1, 2 ** (bits - 8)
    if level_range == 2:
        planes = [luma * top, cb * top + 128 * unit, cr * top + 128 * unit]
    else:
        planes = [(16 + 219 * luma) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit]
    frame = av.VideoFrame(width, height, pixel_format)
    for number, (plane, values) in enumerate(zip(frame.planes, planes)):
        if number and "420" in pixel_format:
            values = (values[::2, ::2] + values[1::2, ::2]) / 2
        kind = np.uint8 if bits == 8 else np.uint16
        rows = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
        rows[:, : plane.width] = np.round(values)
        plane.update(rows.tobytes())
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, level_range
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe(path).colour.matrix == matrix and probe(path).bit_depth == bits
    difference = first_image(path) - 255 * rgb
    assert np.abs(difference).mean() < 1
    assert np.abs(difference.mean((0, 1))).max() < 0.8, "a colour cast"


@pytest.mark.parametrize("size, matrix", [((1280, 32), 1), ((64, 32), 6)])
def test_untagged_files_are_read_as_players_do(tmp_path, size, matrix):
    image = smooth(*size)
    path = write_video(tmp_path / "a.mkv", [image], codec="ffv1", colour=Colour(matrix, 1), tag_colour=False)
    assert np.abs(first_image(path).astype(int) - image).mean() < 1


@pytest.mark.parametrize(
    "matrix, apply, degrees",
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1), 270),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1), 90),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2), 180),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1], 0),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2), 270),
    ],
)
def test_turned_pictures_come_upright(tmp_path, matrix, apply, degrees):
    path = write_video(tmp_path / "a.mp4", [smooth(48, 32)] * 2, options={"crf": "4"})
    stored = first_image(path)
    set_display_matrix(path, *matrix)
    expected = apply(stored)
    info = probe(path)
    assert (info.height, info.width) == expected.shape[:2]
    assert info.rotation == degrees
    np.testing.assert_array_equal(first_image(path), expected)


def test_display_matrix_test_matches_ffmpegs_reading_of_it(tmp_path):
    path = write_video(tmp_path / "a.mp4", [smooth(48, 32)] * 2)
    set_display_matrix(path, 0, -1, 1, 0)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == probe(path).rotation == 90


def test_uneven_times_are_kept(tmp_path):
    ticks = [0, 20, 70, 75, 300, 310, 900]
    path = write_video(tmp_path / "a.mp4", numbered(7), pts=ticks, time_base=Fraction(1, 600), rate=Fraction(7, 2))
    frames = list(VideoReader(path))
    assert [frame.time for frame in frames] == pytest.approx([tick / 600 for tick in ticks])


@pytest.mark.parametrize("codec, pixel_format", [("libx265", "yuv420p"), ("libx265", "yuv420p10le")])
def test_hevc(tmp_path, codec, pixel_format):
    image = smooth(64, 64)
    path = write_video(
        tmp_path / "a.mp4",
        [image] * 5,
        codec=codec,
        pixel_format=pixel_format,
        options={"crf": "8", "x265-params": "log-level=none"},
    )
    frames = list(VideoReader(path))
    assert len(frames) == 5
    assert np.abs(frames[0].image.numpy().astype(int) - image).mean() < 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_window(tmp_path, suffix):
    path = write_video(tmp_path / f"a.{suffix}", numbered(100), options={"g": "30", "keyint_min": "30"}, b_frames=2)
    reader = VideoReader(path, start=1.41, duration=0.8)
    frames = list(reader)
    assert numbers(frames) == list(range(36, 56))  # 1.44 s is the first start time from 1.41 s on
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(20)])
    assert frames[0].index == 0
    assert reader.info.duration == pytest.approx(0.8)
    assert numbers(VideoReader(path, start=2)) == list(range(50, 100))


@pytest.mark.parametrize("keep_order", [True, False], ids=["seeking", "from the start"])
def test_segments_equal_the_pass(tmp_path, keep_order):
    path = write_video(tmp_path / "a.mp4", numbered(60), options={"g": "250"}, b_frames=3)  # one group of pictures
    reader = VideoReader(path, start=0.4)
    all_frames = list(reader)
    reader._ordered = keep_order
    for first, end in ((0, 1), (3, 20), (40, 50), (49, 50)):
        segment = reader.segment(first, end)
        for frame, expected in zip(segment, all_frames[first:end], strict=True):
            assert torch.equal(frame.image, expected.image)
            assert (frame.time, frame.index, frame.pts) == (expected.time, expected.index, expected.pts)


def test_live_recordings_without_a_duration_are_measured(tmp_path):
    path = tmp_path / "a.mkv"
    write_video(path, numbered(20), pts=[40 * n for n in range(20)], time_base=Fraction(1, 1000), rate=1000)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"DURATION", b"NOTATION").replace(b"\x44\x89\x88", b"\xec\x44\x88", 1))
    info = probe(path)
    assert info.frame_rate == 25
    assert info.duration == pytest.approx(0.8)


@pytest.fixture
def bad(tmp_path):
    """Files that are no videos, by name."""
    good = write_video(tmp_path / "good.mp4", numbered(30)).read_bytes()
    (tmp_path / "text.mp4").write_text("This is not a video. " * 50)
    (tmp_path / "text.txt").write_text("Neither is this one.\n" * 500)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "cut.mp4").write_bytes(good[: len(good) // 2])
    write_wav(tmp_path / "sound.wav", tone(0.2))
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "name, said",
    [
        ("missing.mp4", "no such file"),
        ("folder", "is a folder"),
        ("text.mp4", "not a media file"),
        ("text.txt", ""),
        ("empty.mp4", "not a media file"),
        ("noise.mkv", "not a media file"),
        ("cut.mp4", "not a media file"),
        ("sound.wav", "no video stream"),
    ],
)
def test_what_is_no_video_is_said_in_one_sentence(bad, name, said):
    with pytest.raises(InputError) as caught:
        VideoReader(bad / name)
    message = str(caught.value)
    assert name in message and said in message
    assert "\n" not in message and message.endswith(".")


def test_video_stream_without_frames(tmp_path):
    path = write_video(tmp_path / "a.mkv", numbered(30), options={"g": "250"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 12])  # up to the first cluster of packets
    with pytest.raises(InputError, match="no frame in it can be decoded"):
        probe(path)


def test_cover_art_is_no_video(tmp_path):
    picture = tmp_path / "cover.png"
    write_video(picture, [smooth(16, 16)], codec="png", pixel_format="rgb24")
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container, av.open(str(picture)) as cover:
        sound = container.add_stream("libmp3lame", rate=44100, layout="mono")
        art = container.add_stream_from_template(cover.streams.video[0])
        art.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(tone(0.5, 44100), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for packet in cover.demux(video=0):
            if packet.size:
                packet.stream = art
                container.mux(packet)
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(InputError, match="only sound"):
        probe(path)


def test_window_behind_the_end(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(10))
    with pytest.raises(InputError, match=r"lasts 0\.40 s"):
        VideoReader(path, start=3)


def test_truncated_in_the_middle_gives_what_is_there(tmp_path):
    path = write_video(tmp_path / "a.mkv", numbered(100), options={"g": "10"})
    path.write_bytes(path.read_bytes()[:-2000])
    seen = numbers(VideoReader(path))
    assert 10 < len(seen) < 100 and seen == list(range(len(seen)))


@pytest.mark.parametrize("name, rate", [("ls_demo1.mp4", 25), ("ls_demo3.mp4", 30)])
def test_real_portrait_recordings(assets, name, rate):
    with VideoReader(assets / "clips" / name) as reader:
        assert (reader.info.width, reader.info.height, reader.info.frame_rate) == (1080, 1920, rate)
        assert reader.info.colour == Colour(1, 1, 1, 1) and reader.info.has_audio
        frames = [frame for frame, _ in zip(reader, range(20))]
    assert [frame.time for frame in frames] == pytest.approx([n / rate for n in range(20)])
    assert frames[0].image.shape == (1920, 1080, 3)
    assert 20 < frames[19].image.float().mean() < 235
