from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from lipforcing.media.reader import Frame
from lipforcing.media.retime import clock_frames
from lipforcing.timeline import FPS

PIXEL = torch.zeros(1, 1, 3, dtype=torch.uint8)
RATES = [10, 24, 25, Fraction(30000, 1001), 30, 50, 60]


def frames_at(times):
    return [Frame(PIXEL, float(time), None, number) for number, time in enumerate(times)]


def irregular(count=200):
    """Times of a phone camera: 1/30 s, now and then a long pause or a burst."""
    steps = torch.rand(count, generator=torch.Generator().manual_seed(1))
    time, times = 0.0, []
    for step in steps.tolist():
        times.append(time)
        time += 0.004 + 0.5 * step**8 + 0.03 * step
    return times


CASES = {f"{float(rate):g} fps": [n / Fraction(rate) for n in range(100)] for rate in RATES}
CASES["irregular"] = irregular()


@pytest.mark.parametrize("times", CASES.values(), ids=CASES.keys())
def test_clock_frames(times):
    frames = frames_at(times)
    groups = list(clock_frames(iter(frames)))
    assert [group.index for group in groups] == list(range(len(groups)))
    assert [frame for group in groups for frame in group.outputs] == frames
    for group in groups:
        assert group.shows.time * FPS <= group.index + 0.5 + 1e-9
        assert all(frame.time * FPS >= group.index + 0.5 - 1e-9 for frame in frames[group.shows.index + 1 :])
        for frame in group.outputs:
            assert abs(frame.time - group.index / FPS) <= 0.5 / FPS + 1e-9
    assert groups[-1].outputs[-1] is frames[-1]


@pytest.mark.parametrize("rate", RATES)
def test_what_the_model_sees_is_on_screen_within_half_a_clock_frame(rate):
    for group in clock_frames(frames_at([n / Fraction(rate) for n in range(100)])):
        # Seen as an interval, the source frame is on screen within 20 ms of the clock frame's time.
        begins, ends = group.shows.time, group.shows.time + 1 / float(rate)
        assert begins - 0.02 - 1e-9 <= group.index / FPS <= ends + 0.02 + 1e-9


def test_at_25_fps_groups_are_single_frames():
    groups = list(clock_frames(frames_at([n / 25 for n in range(50)])))
    assert all(group.outputs == (group.shows,) and group.shows.index == group.index for group in groups)


def test_streams_with_one_frame_of_delay():
    taken = []

    def source():
        for frame in frames_at([n / 25 for n in range(10)]):
            taken.append(frame.index)
            yield frame

    groups = clock_frames(source())
    next(groups)
    assert taken == [0, 1]


def test_no_frames():
    assert list(clock_frames([])) == []
