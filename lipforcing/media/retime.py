"""The 25 fps clock of the model and the frames of a source at any rate.

The model renders one mouth per clock frame. A source frame belongs to the clock frame nearest in time and is output
with that mouth, so the output keeps every source frame at its own time; the mouth is at most half a clock frame
(20 ms) off. What the model sees at a clock frame is the latest source frame that belongs to it or to one before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..timeline import frame_at
from .reader import Frame


@dataclass(frozen=True, eq=False)
class ClockGroup:
    """Clock frame ``index``: the source frame it ``shows``, and the source ``outputs`` that carry its mouth.

    Below 25 fps some groups have no outputs, above some have several; ``shows`` is the last output where there is one.
    """

    index: int
    shows: Frame
    outputs: tuple[Frame, ...]


def clock_frames(frames: Iterable[Frame]) -> Iterator[ClockGroup]:
    """Group source frames by clock frame: 0, 1, 2, ... each exactly once, up to that of the last source frame.

    A group is complete only when the next clock frame has begun, so it comes one source frame late.
    """
    index, shows = 0, None
    outputs: list[Frame] = []
    for frame in frames:
        while frame_at(frame.time) > index:
            yield ClockGroup(index, shows, tuple(outputs))
            index, outputs = index + 1, []
        outputs.append(frame)
        shows = frame
    if shows is not None:
        yield ClockGroup(index, shows, tuple(outputs))
