"""Following: who is where in every frame, and where shots start.

Times are seconds, so footage of any frame rate is followed alike. A follower may look ahead: frames come out of it
later than they went in, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import torch
from torch import Tensor

from ..errors import InputError
from ..media import Frame
from .align import TEMPLATE, full_frame_matrix, similarity
from .choice import Choice, centre, choose, distance, overlap
from .cover import CoverGuard
from .landmarks import Face, LandmarkDetector, anchors
from .shots import THUMBNAIL, CutDetector
from .smooth import AnchorFilter

EVERY = 0.08  # seconds between detections while faces move; in between, they move evenly
STILL = 4.0  # crop pixels from one detection to the next below which a face hardly moves
SEARCH = (0.48, 0.96)  # seconds between looks for faces that are new: while a speaker misses, and while all are there
# Degrees of yaw as the mesh estimates it, some five sixths of what it is: up to the first a mouth comes back,
# beyond the second it is left alone.
TURNED = (38.0, 45.0)
HOLD = 0.48  # seconds for which a lost face is presumed where it was heading
FADE = 0.16  # seconds in which a mouth fades in after a face appears and out before it is given up
INSTANT = 1e-3  # seconds that are no time: frame times come from divisions
SAME_PLACE = 0.15  # least overlap (IoU) of one face in successive detections
EDGE = 0.02  # of the picture's side: a box as near as this to the border may be leaving


@dataclass(frozen=True, eq=False)
class Sighting:
    """A followed face in a frame.

    Attributes:
        person: who; the same number from appearing to cut or loss, and nobody else's.
        speaker: number of the choice that picked the person.
        matrix: float32 [2, 3], pixel of the upright frame to pixel of the 420 x 560 crop; integers are pixel centres.
        opacity: strength of the pasted mouth, above 0 and up to 1.
    """

    person: int
    speaker: int
    matrix: Tensor
    opacity: float


@dataclass(frozen=True, eq=False)
class Seen:
    """What is seen in a frame.

    Attributes:
        starts_shot: the frame is the first one of a shot.
        sightings: followed faces, by speaker.
        absence: why there are none, in two words.
    """

    starts_shot: bool
    sightings: tuple[Sighting, ...] = ()
    absence: str = "no face"


Followed = list[tuple[Frame, Seen]]


class Follower(Protocol):
    """Follows faces through one video; a new object for every video.

    Attributes:
        look_ahead: seconds by which frames come out late at most.
    """

    look_ahead: float

    def push(self, frame: Frame) -> Followed:
        """Go on with a frame; gives the frames that are done, in order."""
        ...

    def finish(self) -> Followed:
        """The frames that are left."""
        ...


class FixedFollower:
    """One face that stays where it is.

    Args:
        matrix: [2, 3], frame to crop, see ``align.box_matrix``; None for footage that is a face crop already.
    """

    look_ahead = 0.0

    def __init__(self, matrix: Tensor | None = None) -> None:
        self._matrix = matrix
        self._cuts = CutDetector()
        self._person = -1

    def push(self, frame: Frame) -> Followed:
        picture = frame.picture
        starts = self._cuts(picture.thumbnail(THUMBNAIL, THUMBNAIL))
        self._person += starts
        matrix = full_frame_matrix(picture.height, picture.width) if self._matrix is None else self._matrix
        return [(frame, Seen(starts, (Sighting(self._person, 0, matrix, 1.0),)))]

    def finish(self) -> Followed:
        return []


@dataclass(frozen=True, eq=False)
class Track:
    """What was seen in a whole video, frame by frame.

    Attributes:
        seen: of every frame.
        picture_size: (H, W) of the frames.
    """

    seen: tuple[Seen, ...]
    picture_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.seen)

    @property
    def found(self) -> int:
        """Frames with a face."""
        return sum(bool(seen.sightings) for seen in self.seen)


class RecordedFollower:
    """Repeats what was seen before, frame by frame."""

    look_ahead = 0.0

    def __init__(self, track: Track) -> None:
        self._track = track
        self._next = 0

    def push(self, frame: Frame) -> Followed:
        number, self._next = self._next, self._next + 1
        size = (frame.picture.height, frame.picture.width)
        if number >= len(self._track) or size != self._track.picture_size:
            height, width = self._track.picture_size
            raise InputError(
                f"The face track is of {len(self._track)} frames of {width} x {height} pixels and does not fit this "
                f"video (frame {number + 1}: {size[1]} x {size[0]}); track the face in this very video."
            )
        return [(frame, self._track.seen[number])]

    def finish(self) -> Followed:
        return []


@dataclass(eq=False)
class _Person:
    """Somebody in the picture, at the last detection."""

    number: int
    face: Face  # as last seen
    filter: AnchorFilter = field(default_factory=AnchorFilter)
    anchors: Tensor | None = None  # smoothed
    before: Tensor | None = None  # at the detection before
    missed: float = 0.0  # seconds since seen
    turned: bool = False  # so far to the side that the mouth is left alone
    was_hidden: bool = False  # at the detection before
    guard: CoverGuard = field(default_factory=CoverGuard)

    @property
    def box(self) -> Tensor:
        return self.face.box

    def see(self, face: Face, passed: float) -> None:
        """Go on with a detection, ``passed`` seconds after the last."""
        self.face, self.missed = face, 0.0
        self.turned = face.yaw > TURNED[not self.turned]
        if face.texture is not None and not self.turned:
            self.guard.update(face.texture, passed)
        self.anchors = self.filter.update(anchors(face), passed)

    @property
    def hidden(self) -> str:
        """Why the mouth is to be left alone, in two words; empty where it is not."""
        if self.turned:
            return "turned away"
        return "mouth hidden" if self.guard.covered else ""

    @property
    def steady(self) -> bool:
        """Whether it hardly moved since the detection before."""
        if self.before is None or self.missed:
            return False
        crop_scale = float(similarity(self.anchors, TEMPLATE)[:, 0].norm())
        return float((self.anchors - self.before).norm(dim=-1).max()) * crop_scale < STILL


@dataclass(eq=False)
class _Speaker:
    """A choice, and whom it fell on."""

    choice: Choice
    person: _Person | None = None
    known: set[int] = field(default_factory=set)  # who was beside the person when it was last there: somebody else
    place: Tensor | None = None  # where it was last there
    level: float = 0.0  # opacity


class DetectingFollower:
    """Detects faces several times a second, tells people apart, and keeps to the chosen ones.

    A person is picked by a choice when a shot starts, and from then on recognised by place. A lost face is presumed to
    run on for ``HOLD`` seconds, the last ``FADE`` of them fading out, unless it was leaving the picture; then frames
    pass untouched until somebody appears who is not known to be somebody else. Then the mouth fades in; where a shot
    starts it is there at once. The mouth of a head that is turned too far (``TURNED``), and one that something covers
    (:class:`CoverGuard`), has faded out by the detection that saw it, and fades in again. The alignment is smoothed by
    :class:`AnchorFilter`.

    Args:
        detector: finds the faces of a picture and their landmarks.
        choices: whom to follow, one for each speaker.
        every: seconds between detections of faces that move; twice that where nobody does.
    """

    def __init__(
        self,
        detector: LandmarkDetector,
        choices: Sequence[Choice] = ("largest",),
        every: float = EVERY,
    ) -> None:
        self._detector = detector
        self._choices = tuple(choices)
        self._every = every
        self.look_ahead = 2 * every
        self._cuts = CutDetector()
        self._numbers = count()
        self._waiting: list[tuple[Frame, bool]] = []  # since the last detection, with whether a shot starts
        self._key: float | None = None  # time of the last detection
        self._time = 0.0  # of the last frame that was done
        self._start_shot()

    def _start_shot(self) -> None:
        self._people: list[_Person] = []
        self._speakers = [_Speaker(choice) for choice in self._choices]
        self._fresh = True  # no detection yet in this shot
        self._interval = self._every
        self._searched: float | None = None  # time of the last look for new faces

    def push(self, frame: Frame) -> Followed:
        done: Followed = []
        if self._cuts(frame.picture.thumbnail(THUMBNAIL, THUMBNAIL)):
            done = self.finish()  # of the shot before
            self._start_shot()
            self._key = None
        self._waiting.append((frame, self._key is None and not self._waiting))
        if self._key is None or frame.time - self._key > self._interval - INSTANT:
            done += self._detect()
        return done

    def finish(self) -> Followed:
        return self._detect() if self._waiting else []

    def _detect(self) -> Followed:
        """Detect in the newest frame, and say of all that wait what is seen in them."""
        frame = self._waiting[-1][0]
        passed = frame.time - (frame.time if self._key is None else self._key)
        size = (frame.picture.height, frame.picture.width)
        self._update(self._look(frame), passed, size)
        steady = self._people and all(person.steady for person in self._people)
        self._interval = self._every * (2 if steady else 1)
        start = self._key
        done: Followed = []
        for waiting, starts in self._waiting:
            share = 1.0 if not passed else (waiting.time - start) / passed
            sightings = self._sightings(waiting.time, share)
            hidden = [speaker.person.hidden for speaker in self._speakers if speaker.person is not None]
            done.append((waiting, Seen(starts, sightings, next(filter(None, hidden), "no face"))))
        self._waiting.clear()
        self._key = frame.time
        self._fresh = False
        return done

    def _look(self, frame: Frame) -> list[Face]:
        """The faces of a frame."""
        pause = SEARCH[all(speaker.person in self._people for speaker in self._speakers)]
        search = self._searched is None or frame.time - self._searched > pause - INSTANT
        if search:
            self._searched = frame.time
        return self._detector(frame.picture, [person.face for person in self._people], search)

    def _update(self, faces: list[Face], passed: float, size: tuple[int, int]) -> None:
        """People and speakers at a new detection, ``passed`` seconds after the last."""
        left = list(faces)
        for person in sorted(self._people, key=lambda one: one.missed):
            face = _continuation(person, left)
            person.before, person.was_hidden = person.anchors, bool(person.hidden)
            if face is not None:
                left = [one for one in left if one is not face]
                person.see(face, passed)
            else:
                person.missed = HOLD + 1 if _leaving(person.box, size) else person.missed + passed
                person.anchors = person.filter.coast(passed)
        self._people = [person for person in self._people if person.missed < HOLD + INSTANT]
        for face in left:
            person = _Person(next(self._numbers), face)
            person.see(face, 0.0)
            self._people.append(person)
        # Who names somebody comes before those who take the largest that is left.
        for speaker in sorted(self._speakers, key=lambda speaker: isinstance(speaker.choice, str)):
            self._assign(speaker, size)

    def _assign(self, speaker: _Speaker, size: tuple[int, int]) -> None:
        """Keep a speaker's person while it is there; else pick somebody who is free and new."""
        person = speaker.person
        if person not in self._people:
            speaker.person, speaker.level = None, 0.0  # not to be taken for somebody else's
            person = speaker.person = self._new_person(speaker, size)
        if person is not None and not person.missed:
            speaker.known = {one.number for one in self._people if one is not person}
            speaker.place = person.box

    def _new_person(self, speaker: _Speaker, size: tuple[int, int]) -> _Person | None:
        """Whom a speaker's choice falls on; who had somebody in this shot gets the nearest one to where that was."""
        taken = [other.person for other in self._speakers]
        visible = [one for one in self._people if not one.missed and one.number not in speaker.known]
        free = [one for one in visible if one not in taken]
        if speaker.place is not None:
            return min(free, key=lambda one: distance(centre(one.box), centre(speaker.place)), default=None)
        # A number, point or box names one of all that are there.
        chosen = choose(free if isinstance(speaker.choice, str) else visible, speaker.choice, size)
        return chosen if chosen in free else None

    def _sightings(self, time: float, share: float) -> tuple[Sighting, ...]:
        """What is seen at ``time``, ``share`` of the way from the last detection to the newest."""
        passed, self._time = time - self._time, time
        found = []
        for number, speaker in enumerate(self._speakers):
            person = speaker.person
            shown = person is not None and person.missed < HOLD - FADE + INSTANT and not person.hidden
            shown &= not (shown and (person.before is None or person.was_hidden) and share < 1)
            step = 1.0 if self._fresh else passed / FADE
            speaker.level = min(1.0, speaker.level + step) if shown else max(0.0, speaker.level - step)
            if person is not None and person.hidden:
                speaker.level = min(speaker.level, 1 - share)  # nothing is painted on what was seen before it
            if person is None or not speaker.level:
                continue
            points = person.anchors if person.before is None else torch.lerp(person.before, person.anchors, share)
            found.append(Sighting(person.number, number, similarity(points, TEMPLATE), speaker.level))
        return tuple(found)


def _continuation(person: _Person, faces: list[Face]) -> Face | None:
    """Which of the faces goes on with a person: the nearest one that lies about where it was."""
    there = [face for face in faces if overlap(face.box, person.box) >= SAME_PLACE]
    return min(there, key=lambda face: distance(centre(face.box), centre(person.box)), default=None)


def _leaving(box: Tensor, size: tuple[int, int]) -> bool:
    """Whether a box touches the border of a picture (H, W)."""
    height, width = size
    x0, y0, x1, y1 = box.tolist()
    return x0 < EDGE * width or y0 < EDGE * height or x1 > (1 - EDGE) * width or y1 > (1 - EDGE) * height
