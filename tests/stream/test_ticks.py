"""The model's clock over all kinds of frame times."""

from __future__ import annotations

import pytest
import torch

from lipforcing.faces.follow import Seen
from lipforcing.stream.ticks import LONGEST, SHORTEST, Ticker

from .helpers import face, frames_at


def ticks_of(times, cuts=()):
    ticker, ticks = Ticker(), []
    for n, frame in enumerate(frames_at(times)):
        ticks += ticker.push(frame, Seen(n == 0 or n in cuts, (face(),)))
    return [*ticks, *ticker.finish()]


def outputs(ticks) -> list[int]:
    return [moment.frame.index for tick in ticks for moment in tick.moments]


@pytest.mark.parametrize("rate", [20, 23.976, 24, 25, 29.97, 30, 36])
def test_every_frame_is_a_tick_near_the_trained_rate(rate):
    times = [n / rate for n in range(40)]
    ticks = ticks_of(times)
    assert [tick.time for tick in ticks] == times and outputs(ticks) == list(range(40))
    assert all(moment.share == 1 for tick in ticks for moment in tick.moments)


@pytest.mark.parametrize("rate", [48, 50, 59.94, 60])
def test_every_second_frame_is_a_tick_at_twice_the_rate(rate):
    times = [n / rate for n in range(41)]
    ticks = ticks_of(times)
    assert [tick.time for tick in ticks] == times[::2] and outputs(ticks) == list(range(41))
    assert all([m.share for m in tick.moments] == [pytest.approx(0.5), 1] for tick in ticks[1:])


def test_the_last_frame_of_a_shot_is_always_a_tick():
    times = [n / 50 for n in range(40)]
    assert [tick.time for tick in ticks_of(times)][-2:] == [times[38], times[39]]
    ticks = ticks_of(times, cuts=[11])
    assert [t.time for t in ticks if t.time < 0.25] == [times[n] for n in (0, 2, 4, 6, 8, 10, 11)]
    (start,) = [tick for tick in ticks if tick.starts_shot and tick.time > 0]
    assert start.time == times[11] and [m.frame.index for m in start.moments] == [11]
    ticks = ticks_of(times, cuts=[12])
    assert [t.time for t in ticks if t.time < 0.25] == [times[n] for n in (0, 2, 4, 6, 8, 10, 11, 12)]


def test_slow_footage_has_ticks_between_its_frames():
    ticks = ticks_of([n / 12 for n in range(5)])
    steps = torch.tensor([tick.time for tick in ticks]).diff()
    assert (steps > SHORTEST).all() and (steps < LONGEST).all() and outputs(ticks) == list(range(5))
    assert [tick.shows.frame.index for tick in ticks] == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_any_variable_rate():
    """Every frame comes out once, in order, with a share in (0, 1]; ticks stay near the trained rate."""
    generator = torch.Generator().manual_seed(0)
    gaps = torch.rand(300, generator=generator).square() * 0.2 + 0.002
    times = gaps.cumsum(0).tolist()
    ticks = ticks_of(times)
    assert outputs(ticks) == list(range(300))
    assert all(0 < moment.share <= 1 for tick in ticks for moment in tick.moments)
    steps = torch.tensor([tick.time for tick in ticks]).diff()
    assert (steps > 0).all() and steps.max() < 0.06 and steps.median() < 0.05


def test_a_long_gap_starts_anew():
    ticks = ticks_of([0, 0.04, 0.08, 5.0, 5.04])
    assert [tick.time for tick in ticks] == [0, 0.04, 0.08, 5.0, 5.04]


def test_frames_between_ticks_are_placed_by_time():
    (first, second) = ticks_of([0, 0.01, 0.015, 0.03])
    assert [m.share for m in second.moments] == [pytest.approx(1 / 3), pytest.approx(0.5), 1]
    assert second.shows is second.moments[-1] and first.shows.frame.index == 0
