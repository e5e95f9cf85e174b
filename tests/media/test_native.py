"""From file to file without leaving the source's own samples."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from av.codec.context import Flags

from lipforcing.media import DecodedPicture, Patch, PictureFormat, VideoReader, VideoWriter, probe
from lipforcing.media.colour import Colour
from lipforcing.media.hdr import Hdr
from lipforcing.media.orientation import Orientation
from lipforcing.media.pixels import layout_of, read, samples

from .clips import noise_frame, set_display_matrix, smooth, write_video
from .test_pixels import GREY, RGB, YUV


def codes_of(frame: av.VideoFrame) -> list[np.ndarray]:
    layout = layout_of(frame.format.name)
    return [read(samples(frame, number), layout).numpy() for number in range(len(layout.places))]


def some_patch(height: int = 9, width: int = 11) -> Patch:
    random = torch.Generator().manual_seed(1)
    return Patch(4, 6, torch.rand(3, height, width, generator=random), torch.rand(1, height, width, generator=random))


def write_pictures(path, pictures, form: PictureFormat, **options):
    with VideoWriter(path, form.width, form.height, Fraction(25), pictures=form, **options) as writer:
        for number, picture in enumerate(pictures):
            writer.write(picture, number / 25)
    return path


# FFmpeg has no lossless video codec for the last one.
@pytest.mark.parametrize("pixel_format", [name for name in (*YUV, *RGB, *GREY) if name != "ya16le"])
@pytest.mark.parametrize("width, height", [(48, 32), (37, 23)])
def test_lossless_files_hold_every_sample(tmp_path, pixel_format, width, height):
    full = layout_of(pixel_format).full_range
    form = PictureFormat(width, height, pixel_format, Colour(1, 2 if full else 1, 1, 1))
    pictures = [DecodedPicture(noise_frame(pixel_format, width, height, n), form.colour) for n in range(3)]
    pictures[1] = pictures[1].patched([some_patch()])
    path = write_pictures(tmp_path / "a.mkv", pictures, form, lossless=True)
    for frame, picture in zip(VideoReader(path), pictures, strict=True):
        read_back = codes_of(frame.picture.frame)
        written = codes_of(picture.frame)
        assert layout_of(frame.picture.frame.format.name).bits == layout_of(pixel_format).bits
        for values, expected in zip(read_back, written):  # H.264 of grey comes back with grey chroma
            np.testing.assert_array_equal(values, expected)
        assert all((values == values[0, 0]).all() for values in read_back[len(written) :])
        if layout_of(pixel_format).kind == "yuv":
            assert frame.picture.colour == form.colour
        elif layout_of(pixel_format).kind == "grey":
            assert frame.picture.colour.range == 2


@pytest.mark.parametrize(
    "codec, pixel_format, name, options",
    [
        ("libx264", "yuv420p", "a.mp4", {"crf": "20"}),
        ("libx265", "yuv420p10le", "a.mp4", {"x265-params": "log-level=none:no-cutree=1"}),
        ("mjpeg", "yuvj422p", "a.mkv", {}),
        ("prores_ks", "yuv422p10le", "a.mov", {}),
        ("ffv1", "yuva444p10le", "a.mkv", {}),
        ("png", "rgb24", "a.mov", {}),
        ("gif", "rgb8", "a.gif", {}),
    ],
)
def test_outside_of_a_patch_a_file_comes_through(tmp_path, codec, pixel_format, name, options):
    source = tmp_path / name
    with av.open(str(source), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 48, 32, pixel_format, options
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(smooth(48, 32, number / 4), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    reader = VideoReader(source)
    patch = some_patch()
    covered = np.zeros((32, 48), bool)
    covered[4:13, 6:17] = True
    with VideoWriter.like(tmp_path / "out.mkv", reader.info, lossless=True) as writer:
        for frame in reader:
            writer.write(frame.picture.patched([patch]), frame.time)
    changed = 0
    for before, after in zip(reader, VideoReader(tmp_path / "out.mkv"), strict=True):
        layout = layout_of(before.picture.frame.format.name)
        for number, (was, is_now) in enumerate(zip(*(codes_of(f.picture.frame) for f in (before, after)))):
            down, across = (layout.down, layout.across) if layout.is_chroma(number) else (1, 1)
            mask = covered.reshape(32 // down, down, 48 // across, across).any((1, 3))
            np.testing.assert_array_equal(was[~mask], is_now[~mask])
            changed += (was[mask] != is_now[mask]).sum()
    assert changed > 500


@pytest.mark.parametrize(
    "matrix, turn",
    [((0, 1, -1, 0), Orientation(True, True, False)), ((0, -1, 1, 0), Orientation(True, False, True))],
)
@pytest.mark.parametrize("lossless", [True, False])
def test_turned_files_are_turned_by_planes(tmp_path, matrix, turn, lossless):
    source = write_video(tmp_path / "in.mp4", [smooth(48, 32)] * 2, options={"crf": "4"})
    set_display_matrix(source, *matrix)
    reader = VideoReader(source)
    with VideoWriter.like(
        tmp_path / "out.mp4", reader.info, lossless=lossless, **{} if lossless else {"quality": 1}
    ) as w:
        for frame in reader:
            w.write(frame.picture, frame.time)
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height, info.rotation) == (32, 48, 0)
    for before, after in zip(reader, VideoReader(tmp_path / "out.mp4"), strict=True):
        for was, is_now in zip(codes_of(before.picture.frame), codes_of(after.picture.frame)):
            assert np.abs(turn.upright(was) - is_now).max() <= (0 if lossless else 2)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_pattern_of_chroma_stays_in_place_over_generations(tmp_path, axis):
    """swscale of PyAV 17 and later moved it by a quarter of a sample each time."""
    frame = noise_frame("yuv420p", 256, 256)
    wave = np.round(128 + 60 * np.cos(2 * np.pi * np.arange(128) / 8))
    samples(frame, 0)[:] = 128
    samples(frame, 1)[:] = samples(frame, 2)[:] = wave[:, None] if axis == 0 else wave[None]
    form = PictureFormat(256, 256, "yuv420p", Colour(1, 1, 1, 1))
    path = write_pictures(tmp_path / "0.mp4", [DecodedPicture(frame, form.colour)] * 2, form, quality=8)
    for generation in range(1, 4):
        reader = VideoReader(path)
        path = tmp_path / f"{generation}.mp4"
        with VideoWriter.like(path, reader.info, quality=8) as writer:
            for seen in reader:
                region = seen.picture.region(40, 40, 176, 176)
                patched = seen.picture.patched([Patch(40, 40, region, torch.ones(1, 176, 176))])
                writer.write(patched, seen.time)
    last = next(VideoReader(path).frames()).picture.frame
    for number in (1, 2):
        for part in (slice(0, 16), slice(40, 88)):  # outside, inside of the patch
            before, after = (np.fft.rfft(samples(f, number).mean(1 - axis)[part] - 128) for f in (frame, last))
            at = (part.stop - part.start) // 8
            assert abs(np.angle(after[at] / before[at])) * 8 / (2 * np.pi) < 0.02


def test_rgb_and_its_chroma_stay_in_place(tmp_path):
    """The same where RGB is written: a wave of colour in pixels comes back in phase."""
    x = np.arange(256)
    wave = np.round(128 + 60 * np.cos(2 * np.pi * x / 32)).astype(np.uint8)
    image = np.broadcast_to(np.stack([wave, 255 - wave, wave], -1)[None], (64, 256, 3)).copy()
    for generation in range(4):
        path = tmp_path / f"{generation}.mp4"
        with VideoWriter(path, 256, 64, Fraction(25), quality=2) as writer:
            writer.write(torch.from_numpy(image), 0)
            writer.write(torch.from_numpy(image), 0.04)
        image = next(VideoReader(path).frames()).image.numpy()
    phase = np.angle(np.fft.rfft(image[..., 0].mean(0) - image[..., 1].mean(0))[8])
    assert abs(phase) * 32 / (2 * np.pi) < 0.02  # pixels


HDR10 = Hdr("G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", "1000,400")


@pytest.mark.parametrize("pixel_format, transfer", [("yuv420p10le", 16), ("yuv420p10le", 18), ("yuv422p10le", 16)])
@pytest.mark.parametrize("lossless", [False, True])
def test_high_dynamic_range_stays(tmp_path, pixel_format, transfer, lossless):
    colour = Colour(9, 1, 9, transfer)
    form = PictureFormat(64, 48, pixel_format, colour, hdr=HDR10)
    frame = noise_frame(pixel_format, 64, 48)
    for number in range(3):
        samples(frame, number)[:] = 500 + 2 * np.arange(samples(frame, number).shape[1])
    first = write_pictures(tmp_path / "first.mp4", [DecodedPicture(frame, colour)] * 3, form, lossless=lossless)
    reader = VideoReader(first)
    with VideoWriter.like(tmp_path / "out.mp4", reader.info, lossless=lossless) as writer:
        for seen in reader:
            writer.write(seen.picture, seen.time)
    for path in (first, tmp_path / "out.mp4"):
        info = probe(path)
        assert info.hdr == HDR10 and info.colour == colour
        assert (info.bit_depth, info.pixel_format) == (10, pixel_format)
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            assert context.name == ("h264" if lossless else "hevc")
            assert lossless or context.codec_tag == "hvc1"
        region = next(VideoReader(path).frames()).picture.region(0, 0, 48, 64)
        expected = DecodedPicture(frame, colour).region(0, 0, 48, 64)  # coded values, no tone mapping
        assert (region - expected).abs().max() < (1e-6 if lossless else 0.02)


def test_metadata_that_says_half_says_what_it_can():
    class Frame:
        side_data = {  # noqa: RUF012
            "MASTERING_DISPLAY_METADATA": struct.pack("=22i", *([1, 1] * 10), 1, 0),
            "CONTENT_LIGHT_LEVEL": struct.pack("=2I", 700, 70),
        }

    assert Hdr.of(Frame) == Hdr(None, "700,70")
    Frame.side_data = {}
    assert Hdr.of(Frame) is None


@pytest.mark.parametrize("pixel_format, first_field", [("yuv420p", 1), ("yuv422p10le", 1), ("yuv420p", 0)])
@pytest.mark.parametrize("lossless", [False, True])
def test_fields_stay_fields(tmp_path, pixel_format, first_field, lossless):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixel_format
        stream.options = {"x264-params": "tff=1" if first_field else "bff=1"}
        stream.codec_context.flags |= Flags.interlaced_dct
        for number in range(4):
            frame = noise_frame(pixel_format, 64, 64, number)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    reader = VideoReader(source)
    assert reader.info.interlaced
    with VideoWriter.like(tmp_path / "out.mp4", reader.info, lossless=lossless) as writer:
        assert writer.encoding.codec == "H.264"
        for frame in reader:
            writer.write(frame.picture.patched([some_patch()]), frame.time)
    assert probe(tmp_path / "out.mp4").interlaced
    assert not probe(write_video(tmp_path / "whole.mp4", [smooth(64, 64)] * 2)).interlaced


def transparent_frame(pixel_format: str = "yuva444p10le") -> av.VideoFrame:
    frame, layout = noise_frame(pixel_format, 64, 48), layout_of(pixel_format)
    for number in range(4):
        place = samples(frame, number)
        place[:] = np.linspace(2**layout.bits // 4, 2**layout.bits - 1, place.shape[1]).astype(int)
    return frame


def test_transparency_in_prores(tmp_path):
    form = PictureFormat(64, 48, "yuva444p10le", Colour(1, 1, 1, 1), transparent=True)
    frame = transparent_frame()
    path = write_pictures(tmp_path / "a.mov", [DecodedPicture(frame, form.colour)] * 2, form)
    info = probe(path)
    assert info.transparent and info.pixel_format.startswith("yuva444p")
    seen = next(VideoReader(path).frames()).picture.frame
    alpha = samples(seen, 3) / layout_of(seen.format.name).opaque
    assert np.abs(alpha - samples(frame, 3) / 1023).max() < 0.002


def test_transparency_in_vp9(tmp_path):
    """FFmpeg's own decoder leaves transparency out; that of libvpx, which browsers have, gives it back."""
    form = PictureFormat(64, 48, "yuva420p", Colour(1, 1, 1, 1), transparent=True)
    frame = transparent_frame("yuva420p")
    path = write_pictures(tmp_path / "a.mkv", [DecodedPicture(frame, form.colour)] * 2, form)
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    with av.open(str(path)) as container:
        seen = next(picture for packet in container.demux(video=0) for picture in decoder.decode(packet))
    assert seen.format.name == "yuva420p"
    assert np.abs(samples(seen, 3).astype(int) - samples(frame, 3)).max() < 12


def test_opaque_alpha_is_no_transparency(tmp_path):
    frame = transparent_frame("rgba")
    samples(frame, 3)[:] = 255
    form = PictureFormat(64, 48, "rgba")
    path = write_pictures(tmp_path / "a.mkv", [DecodedPicture(frame, form.resolved_colour)] * 2, form, lossless=True)
    info = probe(path)
    assert layout_of(info.pixel_format).alpha and not info.transparent
    with VideoWriter.like(tmp_path / "out.mp4", info) as writer:
        assert writer.encoding.raster.pixel_format == "yuv420p"
        writer.write(next(VideoReader(path).frames()).picture, 0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_odd_sources_are_filled_up(tmp_path, suffix):
    form = PictureFormat(37, 23, "yuv420p", Colour(1, 1, 1, 1))
    picture = DecodedPicture(noise_frame("yuv420p", 37, 23), form.colour)
    info = probe(write_pictures(tmp_path / f"a.{suffix}", [picture] * 2, form))
    assert (info.width, info.height) == (38, 24)


def test_key_frames_are_the_encoders_choice(tmp_path):
    source = write_video(tmp_path / "in.mp4", [smooth(48, 32)] * 20, options={"g": "1"})
    reader = VideoReader(source)
    with VideoWriter.like(tmp_path / "out.mp4", reader.info) as writer:
        for frame in reader:
            writer.write(frame.picture, frame.time)
    keys = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            keys.append(sum(packet.is_keyframe for packet in container.demux(video=0) if packet.size))
    assert keys == [20, 1]


def test_a_picture_may_be_written_many_times(tmp_path):
    """Holding the last picture writes the same frame at other times."""
    form = PictureFormat(48, 32, "yuv420p", Colour(1, 1, 1, 1))
    held, other = (DecodedPicture(noise_frame("yuv420p", 48, 32, n), form.colour) for n in range(2))
    path = write_pictures(tmp_path / "a.mp4", [held, held, other, held], form, lossless=True)
    frames = list(VideoReader(path))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    for frame, picture in zip(frames, [held, held, other, held]):
        np.testing.assert_array_equal(samples(frame.picture.frame, 0), samples(picture.frame, 0))


def test_pictures_of_another_size_are_refused(tmp_path):
    picture = DecodedPicture(noise_frame("yuv420p", 48, 32), Colour(1, 1))
    with (
        pytest.raises(ValueError, match="expected a picture"),
        VideoWriter(tmp_path / "a.mp4", 32, 48, Fraction(25)) as w,
    ):
        w.write(picture, 0)


@pytest.mark.parametrize("codec, suffix", [("hevc", "mp4"), ("prores", "mov"), ("vp9", "mp4"), ("ffv1", "mkv")])
def test_every_codec_plays_back(tmp_path, codec, suffix):
    image = torch.from_numpy(smooth(64, 48))
    with VideoWriter(tmp_path / f"a.{suffix}", 64, 48, Fraction(25), codec=codec) as writer:
        for number in range(5):
            writer.write(image, number / 25)
    frames = list(VideoReader(tmp_path / f"a.{suffix}"))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(5)], abs=1e-3)
    assert all((frame.image.float() - image.float()).abs().mean() < 2 for frame in frames)


def test_quality_decides_the_size(tmp_path):
    form = PictureFormat(64, 48, "yuv420p", Colour(1, 1, 1, 1))
    pictures = [DecodedPicture(noise_frame("yuv420p", 64, 48, n), form.colour) for n in range(4)]
    sizes = [
        write_pictures(tmp_path / f"{codec}{quality}.mp4", pictures, form, codec=codec, quality=quality).stat().st_size
        for codec in ("h264", "hevc", "vp9")
        for quality in (4, 30)
    ]
    assert all(fine > 1.3 * coarse for fine, coarse in zip(sizes[::2], sizes[1::2]))
