"""The model's clock over footage of any frame rate, constant or not.

The model was trained at 25 frames per second; its clock ticks at source frames, as near to that as they allow: at every
frame between 20 and 38 per second, at every second one at 50 or 60, and between frames where they are further apart. A
mouth is generated for every tick, of the very moment that the tick stands for. A source frame between two ticks gets
what lies between their mouths, so every frame has a mouth of its own moment.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..faces.follow import Seen
from ..media import Frame
from .chunk import Place

NOMINAL = 0.04  # seconds from tick to tick, as trained
SHORTEST, LONGEST = 0.026, 0.052  # seconds between which a frame is a tick
GAP = 1.0  # seconds without a frame after which the clock starts anew


@dataclass(frozen=True, eq=False)
class Moment:
    """A source frame on the model's clock.

    Attributes:
        frame: the source frame.
        starts_shot: a shot starts with it.
        places: where faces are in it, by speaker and person.
        share: how far it is from the tick before (0) to its own (1).
        absence: why there are no places.
    """

    frame: Frame
    starts_shot: bool
    places: dict[tuple[int, int], Place]
    share: float
    absence: str


@dataclass(frozen=True, eq=False)
class Tick:
    """One tick of the model's clock.

    Attributes:
        time: in seconds.
        shows: the source frame that the model sees at the tick.
        moments: source frames after the tick before, up to this one; the last is ``shows`` where it is its time.
    """

    time: float
    shows: Moment
    moments: tuple[Moment, ...]

    @property
    def starts_shot(self) -> bool:
        return any(moment.starts_shot for moment in self.moments)


class Ticker:
    """From frames to ticks, as they come. No tick spans a cut."""

    def __init__(self) -> None:
        self._last: Tick | None = None
        self._between: list[tuple[Frame, Seen]] = []  # frames since the last tick

    def push(self, frame: Frame, seen: Seen) -> list[Tick]:
        """Go on with a frame; gives the ticks that are complete."""
        ticks: list[Tick] = []
        if self._last is not None and (seen.starts_shot or frame.time - self._newest > GAP):
            ticks = self.finish()
        self._between.append((frame, seen))
        if self._last is None:
            return [*ticks, self._tick(frame.time, 0.0)]
        start, passed = self._last.time, frame.time - self._last.time
        if passed < SHORTEST:
            return ticks
        steps = 1 if passed <= LONGEST else round(passed / NOMINAL)
        for step in range(1, steps):
            ticks.append(self._tick(start + passed * step / steps, start + passed * (step - 1) / steps))
        return [*ticks, self._tick(frame.time, start + passed * (steps - 1) / steps)]

    def finish(self) -> list[Tick]:
        """The last tick of a shot or clip, where frames are left; the next frame starts anew."""
        ticks = [self._tick(self._newest, self._last.time)] if self._between else []
        self._last = None
        return ticks

    @property
    def _newest(self) -> float:
        return self._between[-1][0].time if self._between else self._last.time

    def _tick(self, time: float, before: float) -> Tick:
        """The tick at ``time``, with the frames up to it; the tick before is at ``before``."""
        moments = []
        while self._between and self._between[0][0].time <= time:
            frame, seen = self._between.pop(0)
            places = {(s.speaker, s.person): Place(frame, s.matrix, s.opacity) for s in seen.sightings}
            share = (frame.time - before) / (time - before) if time > before else 1.0
            moments.append(Moment(frame, seen.starts_shot, places, share, seen.absence))
        shows = moments[-1] if moments else self._last.shows
        self._last = Tick(time, shows, tuple(moments))
        return self._last
