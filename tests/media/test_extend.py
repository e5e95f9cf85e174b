from __future__ import annotations

import weakref
from fractions import Fraction
from itertools import islice, pairwise

import pytest
import torch

from lipforcing.media import extend
from lipforcing.media.duration import DurationPolicy
from lipforcing.media.extend import endless_frames, extended_frames, frame_order
from lipforcing.media.memory import MemoryReader
from lipforcing.media.reader import VideoReader

from .clips import number_of, numbered, write_video


def expected_order(count: int, fill: str, length: int) -> list[int]:
    if fill == "pingpong":
        cycle = [*range(count), *range(count - 2, 0, -1)]
    elif fill == "loop":
        cycle = list(range(count))
    else:
        return [min(n, count - 1) for n in range(length)]
    return [cycle[n % len(cycle)] for n in range(length)]


@pytest.mark.parametrize("fill", ["pingpong", "loop", "hold"])
@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_order_and_times(tmp_path, fill, count):
    reader = VideoReader(write_video(tmp_path / "a.mp4", numbered(count), rate=30))
    plan = DurationPolicy(fill=fill).plan(1.09, Fraction(30), reader.info.duration, reader.info.frame_count)
    frames = list(extended_frames(reader, plan))
    assert len(frames) == plan.frames == 33
    assert [number_of(frame.image) for frame in frames] == expected_order(count, fill, 33)
    assert [frame.index for frame in frames] == expected_order(count, fill, 33)
    assert [frame.time for frame in frames] == pytest.approx([n / 30 for n in range(33)], abs=1e-6)


def test_cut(tmp_path):
    reader = VideoReader(write_video(tmp_path / "a.mp4", numbered(30)))
    plan = DurationPolicy().plan(0.5, Fraction(25), reader.info.duration, reader.info.frame_count)
    assert [frame.index for frame in extended_frames(reader, plan)] == list(range(13))


def test_video_decides(tmp_path):
    reader = VideoReader(write_video(tmp_path / "a.mp4", numbered(30)))
    plan = DurationPolicy("video").plan(99.0, Fraction(25), reader.info.duration, reader.info.frame_count)
    assert [frame.index for frame in extended_frames(reader, plan)] == list(range(30))


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_backwards_equals_brute_force_over_a_long_group_of_pictures(tmp_path, b_frames, suffix):
    path = write_video(tmp_path / f"a.{suffix}", numbered(70), options={"g": "250"}, b_frames=b_frames)
    everything = [frame.image for frame in VideoReader(path)]
    order = [*range(70), *range(68, 0, -1), *range(70), *range(68, 60, -1)]
    frames = islice(endless_frames(VideoReader(path), "pingpong"), len(order))
    for number, (frame, index) in enumerate(zip(frames, order, strict=True)):
        assert frame.index == index
        assert torch.equal(frame.image, everything[index])
        assert frame.time == pytest.approx(number / 25, abs=1e-6)


def test_sound_that_is_a_little_longer_reads_nothing_again(tmp_path):
    class Once(VideoReader):
        def segment(self, first, end):
            raise AssertionError("the frames at the end are known")

    reader = Once(write_video(tmp_path / "a.mp4", numbered(20)))
    shown = [
        number_of(frame.image) for frame in islice(endless_frames(reader, "pingpong"), 20 + extend.KEPT_FRAMES - 1)
    ]
    assert shown == [*range(20), 18, 17, 16, 15]


def test_memory_is_bounded_by_a_segment(tmp_path, monkeypatch):
    monkeypatch.setattr(extend, "SEGMENT_FRAMES", 8)
    pictures = weakref.WeakSet()

    class Watched(VideoReader):
        def segment(self, first, end):
            frames = super().segment(first, end)
            pictures.update(frame.picture for frame in frames)
            return frames

    reader = Watched(write_video(tmp_path / "a.mp4", numbered(40), options={"g": "250"}))
    alive = [len(pictures) for _ in zip(range(90), endless_frames(reader, "pingpong"))]
    assert 8 <= max(alive) <= 9  # a segment, and the last frame of the one before, still in the reader's hands


def test_segments_of_large_pictures_are_shorter(monkeypatch):
    asked = []

    class Reader:
        class info:
            width, height = 3840, 2160

        def segment(self, first, end):
            asked.append(end - first)
            return [first] * (end - first)

    assert len(list(extend._backwards(Reader(), 1, 100))) == 99
    assert max(asked) * 3840 * 2160 * 3 <= extend.SEGMENT_BYTES


def test_uneven_times_are_mirrored(tmp_path):
    ticks = [0, 10, 40, 100]
    path = write_video(
        tmp_path / "a.mp4", numbered(4), pts=ticks, time_base=Fraction(1, 100), rate=Fraction(4, 1), options={"bf": "0"}
    )
    frames = list(islice(endless_frames(VideoReader(path), "pingpong"), 9))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.4, 1.0, 1.6, 1.9, 2.0, 2.1, 2.4], abs=1e-4)


def test_files_without_usable_timestamps_still_run_backwards(tmp_path):
    """A bare H.264 stream has no timestamps to seek by."""
    path = write_video(tmp_path / "a.h264", numbered(30), options={"g": "250"})
    frames = list(islice(endless_frames(VideoReader(path), "pingpong"), 70))
    assert [number_of(frame.image) for frame in frames] == expected_order(30, "pingpong", 70)
    assert all(one.time < other.time for one, other in pairwise(frames))


@pytest.mark.parametrize("fill", ["pingpong", "loop", "hold"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_frame_order_is_that_of_the_frames(fill, count):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 2, 3)
    frames = islice(endless_frames(MemoryReader(images, 25), fill), 3 * count + 2)
    assert [frame.index for frame in frames] == list(islice(frame_order(count, fill), 3 * count + 2))
