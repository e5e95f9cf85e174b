"""From the timestamps that files carry to strictly increasing seconds, and back to timestamps for writing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import lcm
from typing import TypeVar

Item = TypeVar("Item")

# A timestamp that steps back this far is a clock that started anew (joined recordings), not a glitch.
_BACK_SECONDS = 0.3

# One that jumps this far ahead is that too, in formats whose clocks may start anywhere (broadcasting).
_AHEAD_SECONDS = 10.0

# Between frames that belong together lies no more than this.
_NEAR_SECONDS = 1.0


def starts_anew(before: float, now: float, following: float | None, jumps: bool) -> bool:
    """Whether a stream's clock starts anew between two successive times in seconds.

    Args:
        before, now: the two.
        following: the one after them, None if there is none.
        jumps: the format's clocks may start anywhere, so that a leap ahead is a new start too.
    """
    far = now <= before - _BACK_SECONDS or (jumps and now > before + _AHEAD_SECONDS)
    return far and not is_stray(before, now, following)


def is_stray(before: float, now: float, following: float | None) -> bool:
    """Whether a time is broken: the one after it goes on from the one before it as if it were not there."""
    if following is None or before < now <= following:
        return False
    return before < following <= before + _NEAR_SECONDS


def with_next(items: Iterable[Item]) -> Iterator[tuple[Item, Item | None]]:
    """Every item, with the one after it."""
    items = iter(items)
    for held in items:  # the first one
        for following in items:
            yield held, following
            held = following
        yield held, None


# Sound that is off by less goes on without a gap.
_DRIFT_SECONDS = 0.1


class FrameClock:
    """Repairs one stream's timestamps, frame by frame in display order.

    - The first frame is at ``first`` (its own timestamp where None), which becomes 0 s.
    - A missing timestamp continues at the nominal rate.
    - A repeated or slightly backward one is moved half an interval past its predecessor, so that the frames after it
      soon stand on their own timestamps again and stay in sync with the sound.
    - A broken one, which the next frame knows nothing of, is put between its neighbours.
    - Where a clock starts anew (:func:`starts_anew`) it continues at the nominal rate, and everything after it is
      moved by ``shift`` seconds.
    - Containers that round to milliseconds: a time within that rounding of the regular grid is put on the grid.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction, first: int | None = None, jumps: bool = False):
        self.time_base = time_base
        self.frame_rate = frame_rate
        self.shift = 0.0
        self._zero = first
        self._last: float | None = None
        self._jumps = jumps

    def seconds(self, pts: int | None, following: int | None = None) -> float:
        """Time of the next frame; ``following`` is the timestamp of the one after it, where it is known."""
        interval = float(1 / self.frame_rate)
        if self._zero is None and pts is not None and self._last is None:
            self._zero = pts
        if pts is None or self._zero is None:
            time = 0.0 if self._last is None else self._last + interval
        else:
            time = self._time(pts)
        if self._last is not None and pts is not None:
            after = None if following is None or self._zero is None else self._time(following)
            if is_stray(self._last, time, after):
                time = (self._last + after) / 2
            elif starts_anew(self._last, time, after, self._jumps):
                self.shift += self._last + interval - time
                time = self._last + interval
            elif time <= self._last:
                time = self._last + interval / 2
        self._last = time
        return time

    def _time(self, pts: int) -> float:
        return self._on_grid(float((pts - self._zero) * self.time_base)) + self.shift

    def _on_grid(self, time: float) -> float:
        if self.time_base <= Fraction(1, 10_000):
            return time
        regular = float(round(time * self.frame_rate) / self.frame_rate)
        return regular if abs(regular - time) <= 1.01 * self.time_base else time


class SoundClock:
    """Says where decoded sound belongs, frame by frame; most of it just goes on where it was.

    Sound is put in place by its timestamps at its beginning, where they leave the count of its samples by more than a
    tenth of a second (lost packets, pauses of a recording), and where their clock starts anew. Broken timestamps are
    ignored.

    Args:
        shifts: seconds to add to times from the start, and from each time on that the clock starts anew; None goes on.
        jumps: see :func:`starts_anew`.
        reach: seconds; what is further off is broken.
    """

    def __init__(self, shifts: Sequence[float | None], jumps: bool, reach: float):
        self._shifts = iter(shifts)
        self._shift = next(self._shifts)
        self._jumps = jumps
        self._reach = reach
        self._before: float | None = None
        self._settled = False

    def lose_place(self) -> None:
        """Something is missing: what comes next is put in place by its timestamp, however small the gap."""
        self._settled = False

    def moved(self, time: float | None, following: float | None, expected: float) -> float:
        """Seconds by which the next frame lies behind where it would go on, or before it if less than 0.

        Args:
            time: of the frame, None where it does not say.
            following: of the frame after it.
            expected: when it would be heard if it just went on.
        """
        if time is None or (self._before is not None and is_stray(self._before, time, following)):
            return 0.0
        if self._before is not None and starts_anew(self._before, time, following, self._jumps):
            shift = next(self._shifts, None)
            self._shift = expected - time if shift is None else shift
            self._settled = False
        self._before = time
        off = time + self._shift - expected
        if (self._settled and abs(off) < _DRIFT_SECONDS) or abs(off) > self._reach:
            return 0.0
        self._settled = off >= 0
        return off


def output_time_base(time_base: Fraction, frame_rate: Fraction) -> Fraction:
    """A time base on which both the source's timestamps and its regular frame times are whole numbers.

    At least 10 000 ticks a second, so that repaired times keep their order; 90 000 where no common one is reasonable.
    """
    ticks = lcm(time_base.denominator, frame_rate.numerator)
    ticks *= -(-10_000 // ticks)
    return Fraction(1, ticks if ticks <= 1_000_000 else 90_000)
