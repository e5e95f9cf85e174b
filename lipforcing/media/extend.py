"""Source frames in output order: cut, or extended beyond the video's end, at bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, cycle, repeat

from .duration import TOLERANCE, Fill, Plan
from .reader import Frame, VideoReader

# Reading backwards decodes forwards and keeps a run of frames; a run is at most this long, and at most this large.
SEGMENT_FRAMES = 48
SEGMENT_BYTES = 256 * 2**20

# The last frames are kept: sound is often a little longer than its video, and to read them again takes all frames from
# the last key frame on.
KEPT_FRAMES = 5


def extended_frames(reader: VideoReader, plan: Plan) -> Iterator[Frame]:
    """Frames of the output in order: every one that starts before ``plan.end``, at least one.

    ``time`` is the output's and strictly increases; ``index`` and ``pts`` are those of the source frame shown.
    """
    rate = float(plan.frame_rate)
    last = float("inf") if plan.end is None else plan.end * rate - TOLERANCE
    frames = reader.frames() if plan.end is None else endless_frames(reader, plan.fill)
    for number, frame in enumerate(frames):
        if number and frame.time * rate >= last:
            break
        yield frame


def endless_frames(reader: VideoReader, fill: Fill) -> Iterator[Frame]:
    """The video once, then whatever ``fill`` repeats of it, without end."""
    interval, ends = float(1 / reader.info.frame_rate), deque(maxlen=KEPT_FRAMES)
    for frame in reader.frames():
        yield frame
        ends.append(frame)
    last = ends[-1]
    if len(ends) > 1:
        interval = last.time - ends[-2].time
    end = max(last.time + interval, reader.info.duration)
    if fill == "hold" or last.index == 0:
        # Multiples of the interval, not sums: hours of held frames do not drift.
        for times in count(1):
            yield replace(last, time=last.time + times * interval)
    elif fill == "loop":
        yield from _looped(reader, end)
    else:
        yield from _bounced(reader, end, ends)


def frame_order(count: int, fill: Fill) -> Iterator[int]:
    """Numbers of the source frames that ``endless_frames`` gives of a video of ``count`` frames, without end."""
    yield from range(count)
    if fill == "hold" or count == 1:
        yield from repeat(count - 1)
    turn = range(count) if fill == "loop" else [*range(count - 2, -1, -1), *range(1, count)]
    yield from cycle(turn)


def _looped(reader: VideoReader, period: float) -> Iterator[Frame]:
    for times in count(1):
        for frame in reader.frames():
            yield replace(frame, time=frame.time + times * period)


def _bounced(reader: VideoReader, end: float, ends: Sequence[Frame]) -> Iterator[Frame]:
    """n-2..1, 0..n-1, n-2..1 ...: time runs back and forth between the first and the last frame.

    ``end`` is where the last frame ends, ``ends`` are the last frames, two or more.
    """
    period = end + ends[-2].time
    for turn in count(1):
        kept = (frame for frame in reversed([*ends][:-1]) if frame.index)
        for frame in chain(kept, _backwards(reader, 1, ends[0].index)):
            yield replace(frame, time=turn * period - frame.time)
        for frame in reader.frames():
            yield replace(frame, time=turn * period + frame.time)


def _backwards(reader: VideoReader, first: int, end: int) -> Iterator[Frame]:
    """Frames ``end`` - 1 down to ``first``, a segment at a time."""
    frame_bytes = 3 * reader.info.width * reader.info.height
    length = min(SEGMENT_FRAMES, max(1, SEGMENT_BYTES // frame_bytes))
    while end > first:
        start = max(first, end - length)
        held = reader.segment(start, end)
        while held:  # frames are let go as they are used
            yield held.pop()
        end = start
