"""From the timestamps that files carry to strictly increasing seconds, and back to timestamps for writing."""

from __future__ import annotations

from fractions import Fraction
from math import lcm

# A timestamp that steps back this far is a clock that started anew (joined recordings), not a glitch.
_RESTART_SECONDS = 1.0


class FrameClock:
    """Repairs one stream's timestamps, frame by frame in display order.

    - The first frame is at ``first`` (its own timestamp where None), which becomes 0 s.
    - A missing timestamp continues at the nominal rate.
    - A repeated or slightly backward one is moved half an interval past its predecessor, so that the frames after it
      soon stand on their own timestamps again and stay in sync with the sound.
    - One that steps back a second or more continues at the nominal rate and shifts everything after it.
    - Containers that round to milliseconds: a time within that rounding of the regular grid is put on the grid.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction, first: int | None = None):
        self.time_base = time_base
        self.frame_rate = frame_rate
        self._zero = first
        self._last: float | None = None
        self._shift = 0.0

    def seconds(self, pts: int | None) -> float:
        """Time of the next frame."""
        interval = float(1 / self.frame_rate)
        if self._zero is None and pts is not None and self._last is None:
            self._zero = pts
        if pts is None or self._zero is None:
            time = 0.0 if self._last is None else self._last + interval
        else:
            time = self._on_grid(float((pts - self._zero) * self.time_base)) + self._shift
        if self._last is not None and time <= self._last:
            if time <= self._last - _RESTART_SECONDS:
                self._shift += self._last + interval - time
                time = self._last + interval
            else:
                time = self._last + interval / 2
        self._last = time
        return time

    def _on_grid(self, time: float) -> float:
        if self.time_base <= Fraction(1, 10_000):
            return time
        regular = float(round(time * self.frame_rate) / self.frame_rate)
        return regular if abs(regular - time) <= 1.01 * self.time_base else time


def output_time_base(time_base: Fraction, frame_rate: Fraction) -> Fraction:
    """A time base on which both the source's timestamps and its regular frame times are whole numbers.

    At least 10 000 ticks a second, so that repaired times keep their order; 90 000 where no common one is reasonable.
    """
    ticks = lcm(time_base.denominator, frame_rate.numerator)
    ticks *= -(-10_000 // ticks)
    return Fraction(1, ticks if ticks <= 1_000_000 else 90_000)
