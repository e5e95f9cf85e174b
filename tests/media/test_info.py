"""What a video is said to be before it is read."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from PIL import Image, features

from lipforcing.errors import InputError
from lipforcing.media.info import decode_video, open_video_stream, probe
from lipforcing.media.source import open_media

from .clips import numbered, smooth, tone, write_video, write_wav


def test_size_rate_and_length(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4", [smooth(48, 32)] * 10, rate=Fraction(30000, 1001)))
    assert (info.width, info.height, info.frame_rate, info.frame_count) == (48, 32, Fraction(30000, 1001), 10)
    assert info.duration == pytest.approx(10 * 1001 / 30000, abs=1e-3)
    assert (info.pixel_format, info.pixel_aspect, info.transparent, info.hdr) == ("yuv420p", 1, False, None)
    assert info.pictures.width == 48 and info.pictures.colour == info.colour


def test_a_rate_that_is_a_clock_is_counted(tmp_path):
    """Browsers write times in milliseconds and name that as the rate."""
    path = write_video(
        tmp_path / "a.mkv", [smooth(32, 32)] * 6, pts=[0, 40, 80, 120, 160, 200], time_base=Fraction(1, 1000), rate=1000
    )
    info = probe(path)
    assert info.frame_rate == 25 and info.frame_count == 6 and info.duration == pytest.approx(0.24)


def test_sound_alone_has_no_picture(tmp_path):
    path = write_wav(tmp_path / "a.wav", tone(0.1))
    with open_media(path) as container, pytest.raises(InputError, match=r"a\.wav has no video stream \(only sound\)"):
        open_video_stream(container, path)


def test_a_damaged_packet_is_a_gap(tmp_path):
    path = write_video(tmp_path / "a.avi", numbered(4), codec="mjpeg", pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [one for one in container.demux(video=0) if one.size][2]
        data[packet.pos + 8 : packet.pos + packet.size] = bytes(packet.size - 8)
    path.write_bytes(data)
    with open_media(path) as container:
        decoded = list(decode_video(container, open_video_stream(container, path)))
    assert [frame is None for frame in decoded] == [False, False, True, False]


@pytest.mark.parametrize("suffix", [".gif", ".avif", ".png", ".jpg"])
def test_a_still_picture_is_shown_25_times_a_second(tmp_path, suffix):
    """Whatever its file's clock is: a GIF's ticks 100 times a second."""
    path = tmp_path / f"still{suffix}"
    image = Image.fromarray(smooth(64, 48))
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    image.save(path)
    info = probe(path)
    assert (info.frame_rate, info.frame_count) == (25, 1)
