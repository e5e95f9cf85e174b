"""Cutting the model's clock into chunks, and saying who is in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from torch import Tensor

from ..faces.align import CROP_SIZE
from ..faces.follow import Follower, Seen
from ..faces.warp import invert, transform
from ..media import Frame
from ..timeline import chunk_frames_span
from .chunk import Chunk, Lane, Output, Place
from .run import Run
from .ticks import NOMINAL, Tick, Ticker

FIRST, LATER = (end - start for start, end in (chunk_frames_span(0), chunk_frames_span(1)))  # 9 and 12 ticks

NewRun = Callable[[float, int, int], Run]
"""Makes a run: time of its first frame, rank from left to right among those that start with it, speaker."""


@dataclass(eq=False)
class _Member:
    """A run in the segment that is being cut.

    Attributes:
        run: the run.
        joined: tick of the current chunk at which it appeared; 0 in later chunks.
        offset: tick of the current chunk at which its own part starts: a run's first chunk has 9 ticks and ends with
            the segment's, whenever the run appeared.
        base: ticks of its chunks before the current one.
        places: where it is at its ticks, from the last one that was handed on.
        dropped: ticks before these, from the first one of its first chunk on; no frame is held for them.
        encoded: ticks that were handed on.
        alive: it is still there.
    """

    run: Run
    joined: int
    offset: int
    base: int = 0
    places: list[Place] = field(default_factory=list)
    dropped: int = 0
    encoded: int = 0
    alive: bool = True

    @property
    def known(self) -> int:
        """Ticks, from the first one of its first chunk on, of which it is known where it is."""
        return self.dropped + len(self.places)

    def stand(self, position: int, place: Place) -> None:
        """It is at ``place`` at a tick of the current chunk; ticks before it appeared get the same."""
        while self.known <= self.base + position - self.offset:
            self.places.append(place)

    def hand_on(self, upto: int) -> list[Place]:
        """Places up to its tick ``upto`` that were not handed on yet; the last one goes on where they end before."""
        end = upto - self.dropped
        places = self.places[self.encoded - self.dropped : end]
        last = self.places[min(end, len(self.places)) - 1]
        places += [last] * (upto - self.encoded - len(places))
        kept = min(end, len(self.places)) - 1
        self.places, self.dropped, self.encoded = self.places[kept:], self.dropped + kept, upto
        return places


class Chunker:
    """From ticks to chunks.

    A *segment* lasts from the first sighting of anybody to a cut, or until nobody is left. Its first chunk has 9 ticks,
    later ones 12; a run that appears within a segment ends its first chunk together with the others. Where a segment
    ends its last chunk is handed on as it is; where nobody is seen frames pass in chunks without lanes.

    Args:
        new_run: makes runs.
        look_ahead: ticks behind a chunk that must be known before it is handed on: what the codec wants to see.
    """

    def __init__(self, new_run: NewRun, look_ahead: int = 0) -> None:
        self._new_run = new_run
        self._look_ahead = look_ahead
        self._numbers, self._frames = count(), count()
        self._members: dict[tuple[int, int], _Member] = {}  # by speaker and person
        self._ticks: list[Tick] = []  # of the current chunk
        self._length = FIRST
        self._outputs: list[Output] = []
        self._waiting: tuple[Chunk, list[tuple[Lane, _Member, int]]] | None = None  # for ticks to look ahead at

    def push(self, tick: Tick) -> list[Chunk]:
        """Go on with a tick; gives the chunks that are complete."""
        chunks: list[Chunk] = []
        seen = tick.shows.places
        if self._members and (tick.starts_shot or not self._members.keys() & seen.keys()):
            chunks = self.finish()
        if not self._members and not seen:
            outputs = [
                Output(next(self._frames), moment.frame, {}, 0, 0, 1.0, absence=moment.absence)
                for moment in tick.moments
            ]
            return [*chunks, Chunk(next(self._numbers), 0, outputs)] if outputs else chunks
        position = len(self._ticks)
        self._ticks.append(tick)
        self._welcome([key for key in seen if key not in self._members], tick, position)
        for key, member in self._members.items():
            member.alive &= key in seen
            if member.alive:
                member.stand(position, seen[key])
        for moment in tick.moments:
            places = {m.run: moment.places[key] for key, m in self._members.items() if key in moment.places}
            number = next(self._frames)
            span = (position - 1, position, moment.share)
            self._outputs.append(Output(number, moment.frame, places, *span, absence=moment.absence))
        chunks += self._release()
        if len(self._ticks) == self._length:
            chunks += self._close()
        return chunks

    def finish(self) -> list[Chunk]:
        """The segment ends here: what is left of it."""
        for member in self._members.values():
            member.alive = False
        chunks = [*self._release(), *(self._close() if self._ticks else [])]
        self._members.clear()
        self._length = FIRST
        return chunks

    def _welcome(self, keys: list[tuple[int, int]], tick: Tick, position: int) -> None:
        """Runs for those who are seen for the first time."""
        from_left = sorted(keys, key=lambda key: _column(tick.shows.places[key].matrix))
        for rank, key in enumerate(from_left):
            run = self._new_run(tick.time, rank, key[0])
            self._members[key] = _Member(run, position, self._length - FIRST)

    def _close(self) -> list[Chunk]:
        """The current chunk is full, or the segment ends with it."""
        chunk, waiting = Chunk(next(self._numbers), len(self._ticks), self._outputs), []
        for member in self._members.values():
            end = member.base + self._length - member.offset
            if member.known > member.base:
                first = max(member.joined, member.offset)
                lane = Lane(member.run, [], member.offset, first, self._times()[member.offset :])
                chunk.lanes.append(lane)
                waiting.append((lane, member, end + self._look_ahead))
            member.base, member.joined, member.offset = end, 0, 0
        self._members = {key: member for key, member in self._members.items() if member.alive}
        self._waiting = chunk, waiting
        self._ticks, self._outputs, self._length = [], [], LATER
        return self._release()

    def _release(self) -> list[Chunk]:
        """The chunk that waits, once its members know what they look ahead at or have come to their end."""
        if self._waiting is None:
            return []
        chunk, waiting = self._waiting
        if any(member.alive and member.known < upto for _, member, upto in waiting):
            return []
        for lane, member, upto in waiting:
            lane.places = member.hand_on(upto)
        self._waiting = None
        return [chunk]

    def _times(self) -> list[float]:
        """Times of the current chunk's ticks, as if it were full."""
        times = [tick.time for tick in self._ticks]
        return times + [times[-1] + NOMINAL * n for n in range(1, self._length - len(times) + 1)]


class Cutter:
    """From frames to chunks: following, the model's clock, and chunks, one after the other.

    Attributes:
        frames: how many were pushed.
        found: how many of those that were followed so far show a face.
    """

    def __init__(self, follower: Follower, new_run: NewRun, look_ahead: int = 0) -> None:
        self.frames = 0
        self.found = 0
        self._follower = follower
        self._ticker = Ticker()
        self._chunker = Chunker(new_run, look_ahead)
        self._opacities: deque[float] = deque()  # of the frames that are being followed

    def push(self, frame: Frame, opacity: float = 1.0) -> list[Chunk]:
        """Go on with a frame; gives the chunks that are complete.

        ``opacity``: of the mouths in it, times that of each face; at 0 nobody is taken to be there.
        """
        self.frames += 1
        self._opacities.append(opacity)
        return self._go_on(self._follower.push(frame))

    def finish(self) -> list[Chunk]:
        """No frame follows: the chunks that are left."""
        chunks = self._go_on(self._follower.finish())
        for tick in self._ticker.finish():
            chunks += self._chunker.push(tick)
        return chunks + self._chunker.finish()

    def _go_on(self, followed: Iterable) -> list[Chunk]:
        chunks: list[Chunk] = []
        for frame, seen in followed:
            self.found += bool(seen.sightings)
            for tick in self._ticker.push(frame, _faded(seen, self._opacities.popleft())):
                chunks += self._chunker.push(tick)
        return chunks


def _faded(seen: Seen, opacity: float) -> Seen:
    """What is seen, with mouths of so much less opacity."""
    if opacity == 1:
        return seen
    there = seen.sightings if opacity else ()
    return replace(seen, sightings=tuple(replace(one, opacity=opacity * one.opacity) for one in there))


def cut(frames: Iterable[Frame], follower: Follower, new_run: NewRun) -> Iterator[Chunk]:
    """The chunks of a whole video."""
    cutter = Cutter(follower, new_run)
    for frame in frames:
        yield from cutter.push(frame)
    yield from cutter.finish()


def _column(matrix: Tensor) -> float:
    """Where the middle of a crop lies in the picture, from left to right."""
    middle = matrix.new_tensor([[CROP_SIZE[1] / 2, CROP_SIZE[0] / 2]])
    return float(transform(invert(matrix), middle)[0, 0])
