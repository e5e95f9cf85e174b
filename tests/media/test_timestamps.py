from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipforcing.media.timestamps import FrameClock, output_time_base


def seconds(pts, time_base=Fraction(1, 12800), rate=Fraction(25), first=None):
    clock = FrameClock(time_base, rate, first)
    return [clock.seconds(value) for value in pts]


def test_good_timestamps_pass_unchanged_from_zero():
    assert seconds([512, 1024, 1536, 9000]) == [0, 0.04, 0.08, (9000 - 512) / 12800]


def test_missing_timestamps_continue_at_the_nominal_rate():
    assert seconds([None, None, None]) == pytest.approx([0, 0.04, 0.08])
    assert seconds([0, None, None, 1536]) == pytest.approx([0, 0.04, 0.08, 0.12])


def test_after_a_repeated_timestamp_the_next_frame_is_on_its_own_time_again():
    assert seconds([0, 512, 512, 1024, 1536]) == pytest.approx([0, 0.04, 0.06, 0.08, 0.12])


def test_small_steps_back_are_squeezed_and_caught_up():
    ticks = [512 * n for n in range(20)]
    ticks[10] -= 1024
    times = seconds(ticks)
    assert times[11:] == pytest.approx([0.04 * n for n in range(11, 20)])


def test_a_clock_that_starts_anew_continues():
    ticks = [512 * n for n in range(100)] + [512 * n for n in range(100)]
    assert seconds(ticks) == pytest.approx([0.04 * n for n in range(200)])


def test_millisecond_clocks_are_put_on_the_regular_grid():
    rate = Fraction(30000, 1001)
    rounded = [round(1000 * n / rate) for n in range(500)]
    assert seconds(rounded, Fraction(1, 1000), rate) == pytest.approx([float(n / rate) for n in range(500)], abs=1e-12)


def test_uneven_times_of_a_millisecond_clock_stay():
    assert seconds([0, 50, 110, 111], Fraction(1, 1000)) == [0, 0.05, 0.11, 0.111]


@given(
    st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), min_size=1, max_size=60),
    st.sampled_from([Fraction(1, 12800), Fraction(1, 1000), Fraction(1, 25), Fraction(1, 90000)]),
)
def test_times_strictly_increase_whatever_comes(pts, time_base):
    times = seconds(pts, time_base, first=next((value for value in pts if value is not None), None))
    assert all(one < other for one, other in pairwise(times))


@pytest.mark.parametrize(
    "time_base, rate",
    [
        (Fraction(1, 12800), 25),
        (Fraction(1, 15360), 30),
        (Fraction(1, 1000), Fraction(30000, 1001)),
        (Fraction(1, 25), 25),
        (Fraction(1001, 24000), Fraction(24000, 1001)),
        (Fraction(1, 90000), 50),
    ],
)
def test_output_clock_holds_both_the_timestamps_and_the_regular_times(time_base, rate):
    ticks = output_time_base(time_base, Fraction(rate))
    assert ticks <= Fraction(1, 10_000)
    for number in range(50):
        assert (number * time_base / ticks).denominator == 1
        assert (number / Fraction(rate) / ticks).denominator == 1


def test_output_clock_stays_reasonable():
    assert output_time_base(Fraction(1, 10**7), Fraction(2997, 100)) == Fraction(1, 90_000)
