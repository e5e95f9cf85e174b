"""How long a file is and when its clocks start anew, from its packets."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest

from lipforcing.media.packets import file_times

from .clips import numbered, tone, write_video, write_wav


def test_times_rate_and_end(tmp_path):
    times = file_times(write_video(tmp_path / "a.mp4", numbered(10), rate=Fraction(30_000, 1001), b_frames=2))
    assert list(times.pictures) == pytest.approx([n * 1001 / 30_000 for n in range(10)], abs=1e-6)
    assert times.rate == Fraction(30_000, 1001) and times.end == pytest.approx(10 * 1001 / 30_000, abs=1e-6)
    assert not times.joined and times.sound_shifts == (0.0,)


def test_pictures_before_the_first_that_can_be_decoded_do_not_count(tmp_path):
    path = write_video(tmp_path / "a.mkv", numbered(10))
    times = file_times(path, first=120)
    assert len(times.pictures) == 7 and times.end == pytest.approx(0.28)


def test_parts_go_on_where_the_one_before_ends(tmp_path):
    for name, count in (("a", 30), ("b", 20)):
        write_video(tmp_path / f"{name}.ts", numbered(count))
    both = io.BytesIO((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    times = file_times(both)
    assert times.joined and times.jumps
    assert list(times.pictures) == pytest.approx([n / 25 for n in range(50)], abs=1e-4)
    assert times.end == pytest.approx(2.0, abs=1e-4)


def test_a_leap_ahead_is_a_gap_or_a_new_part_by_the_format(tmp_path):
    pts = [n + 500 * (n >= 10) for n in range(20)]
    gap = file_times(write_video(tmp_path / "a.mkv", numbered(20), pts=pts))
    part = file_times(write_video(tmp_path / "a.ts", numbered(20), pts=pts))
    assert gap.end == pytest.approx(20.8, abs=2e-3) and not gap.joined
    assert part.end == pytest.approx(0.8, abs=2e-3) and part.joined


@pytest.mark.parametrize("seconds, end", [(2, 2.36), (0.04, 0.4), (3600, 0.4)])
def test_the_last_picture_lasts_as_long_as_its_packet_says(tmp_path, seconds, end):
    """An hour only where the container knows of it; here its header is written before."""
    clean, path = write_video(tmp_path / "clean.mkv", numbered(10)), tmp_path / "a.mkv"
    with av.open(str(clean)) as source, av.open(str(path), "w", container_options={"live": "1"}) as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux() if packet.size]
        packets[-1].duration = round(1000 * seconds)
        for packet in packets:
            packet.stream = stream
            container.mux(packet)
    assert file_times(path).end == pytest.approx(end, abs=2e-3)


def test_sound_alone_has_no_pictures(tmp_path):
    times = file_times(write_wav(tmp_path / "a.wav", tone(0.5)))
    assert not times.pictures and times.end == 0 and times.reach == pytest.approx(0.5)
