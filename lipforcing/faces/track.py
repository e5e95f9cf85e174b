"""Follows one face through a video, frame after frame: where it lies, and whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from ..errors import InputError
from .align import TEMPLATE, centred_matrix, full_frame_matrix, similarity
from .landmarks import Face, LandmarkDetector, anchors
from .shots import CutDetector
from .smooth import AnchorFilter

#: Which face to follow: "largest"; "center" (nearest the middle of the picture); its number counted from the left;
#: (x, y), the face there; (x0, y0, x1, y1), the face that overlaps this box most.
Choice = str | int | tuple[float, ...]

HOLD = 12  # frames for which a lost face is presumed where it was heading
FADE = 4  # frames in which the mouth fades in after a face appears and out before it is given up
SAME_PLACE = 0.15  # least overlap (IoU) of one face in successive frames


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face over T consecutive frames.

    Attributes:
        matrices: float32 [T, 2, 3], pixel of the frame to pixel of the 420 x 560 crop, integers are pixel centres;
            where no face is known yet, the middle of the frame.
        visible: bool [T], whether the mouth is to be pasted at all.
        opacity: float32 [T], strength of the pasted mouth, 0 to 1, 0 exactly where not visible.
        frame_size: (H, W) of the frames.
    """

    matrices: torch.Tensor
    visible: torch.Tensor
    opacity: torch.Tensor
    frame_size: tuple[int, int]

    @classmethod
    def empty(cls, frame_size: tuple[int, int]) -> FaceTrack:
        """A track of no frames."""
        none = torch.zeros(0)
        return cls(torch.zeros(0, 2, 3), none.bool(), none, frame_size)

    @classmethod
    def cat(cls, pieces: list[FaceTrack]) -> FaceTrack:
        """One track of consecutive pieces, at least one."""
        columns = ([getattr(piece, name) for piece in pieces] for name in _PER_FRAME)
        return cls(*map(torch.cat, columns), pieces[0].frame_size)

    def __len__(self) -> int:
        return len(self.matrices)

    def __getitem__(self, frames: slice) -> FaceTrack:
        return FaceTrack(*(getattr(self, name)[frames] for name in _PER_FRAME), self.frame_size)


_PER_FRAME = ("matrices", "visible", "opacity")


class Tracker(Protocol):
    """Gives the track of a video piece by piece; a new object for every video.

    Attributes:
        frame_size: (H, W) of the frames, known from the first update on.
        found: number of frames so far in which the face was found; 0 after a whole video means there is none.
    """

    frame_size: tuple[int, int] | None
    found: int

    def update(self, frames: torch.Tensor) -> FaceTrack:
        """Track of the next uint8 [T, H, W, 3] RGB frames. Does not depend on how the video is cut into pieces."""
        ...


class FixedTracker:
    """A :class:`Tracker` for a face that stays where it is.

    Args:
        matrix: [2, 3], frame to crop, see ``align.box_matrix``; None for footage that is a face crop already.
    """

    def __init__(self, matrix: torch.Tensor | None = None) -> None:
        self.frame_size: tuple[int, int] | None = None
        self.found = 0
        self._matrix = matrix

    def update(self, frames: torch.Tensor) -> FaceTrack:
        count, height, width = frames.shape[:3]
        self.frame_size = (height, width)
        self.found += count
        matrix = full_frame_matrix(height, width) if self._matrix is None else self._matrix
        return FaceTrack(
            matrix.expand(count, 2, 3),
            torch.ones(count, dtype=torch.bool),
            torch.ones(count),
            self.frame_size,
        )


class RecordedTracker:
    """A :class:`Tracker` that gives out a track made before, frame by frame.

    Args:
        track: of the whole video.
    """

    def __init__(self, track: FaceTrack) -> None:
        self.frame_size = track.frame_size
        self.found = int(track.visible.sum())
        self._track = track
        self._next = 0

    def update(self, frames: torch.Tensor) -> FaceTrack:
        start, self._next = self._next, self._next + len(frames)
        if self._next > len(self._track) or tuple(frames.shape[1:3]) != self.frame_size:
            raise InputError(
                f"The face track is of {len(self._track)} frames of {self.frame_size[1]} x {self.frame_size[0]} pixels "
                f"and does not fit this video (frame {self._next}: {frames.shape[2]} x {frames.shape[1]}); track the "
                "face in this very video."
            )
        return self._track[start : self._next]


class FaceTracker:
    """A :class:`Tracker` that detects faces in every frame, picks one and keeps to it.

    The face is picked by ``choice`` when a shot starts and from then on recognised by its place. A lost face is
    presumed to run on for ``hold`` frames, the last ``fade`` of them fading out; then frames pass through untouched
    until it is found again: any face that is not known to be somebody else. Then the mouth fades in; where a shot
    starts it is there at once. The alignment is smoothed by :class:`AnchorFilter`.

    Args:
        detector: finds faces and their landmarks.
        choice: which face, see :data:`Choice`.
        hold, fade: in frames, see above; 1 <= fade <= hold.
    """

    def __init__(
        self, detector: LandmarkDetector, choice: Choice = "largest", *, hold: int = HOLD, fade: int = FADE
    ) -> None:
        self.frame_size: tuple[int, int] | None = None
        self.found = 0
        self._detector = detector
        self._choice = choice
        self._hold = hold
        self._fade = fade
        self._cuts = CutDetector()
        self._start_shot()

    def update(self, frames: torch.Tensor) -> FaceTrack:
        self.frame_size = tuple(frames.shape[1:3])
        starts = self._cuts(frames)
        steps = [self._step(faces, start) for faces, start in zip(self._detector(frames), starts)]
        opacity = torch.tensor([value for _, value in steps])
        matrices = torch.stack([matrix for matrix, _ in steps])
        return FaceTrack(matrices, opacity > 0, opacity, self.frame_size)

    def _start_shot(self) -> None:
        self._box: torch.Tensor | None = None  # of the followed face when last seen
        self._others: list[torch.Tensor] = []  # boxes of the faces known to be somebody else
        self._missed = 0  # frames since the face was last seen
        self._level = 0  # opacity in steps of 1 / fade
        self._filter = AnchorFilter()
        self._matrix: torch.Tensor | None = None

    def _step(self, faces: list[Face], shot_start: bool) -> tuple[torch.Tensor, float]:
        """Matrix [2, 3] and opacity of the next frame."""
        if shot_start:
            self._start_shot()
        face = self._pick(faces)
        if face is not None:
            self.found += 1
            self._missed = 0
            self._matrix = similarity(self._filter.update(anchors(face)), TEMPLATE)
        elif self._box is not None:
            self._missed += 1
            if self._missed <= self._hold:
                self._matrix = similarity(self._filter.coast(), TEMPLATE)
        shown = self._box is not None and self._missed <= self._hold - self._fade
        step = self._fade if shot_start else 1
        self._level = min(self._fade, self._level + step) if shown else max(0, self._level - step)
        matrix = centred_matrix(*self.frame_size) if self._matrix is None else self._matrix
        return matrix, self._level / self._fade

    def _pick(self, faces: list[Face]) -> Face | None:
        """The followed face among ``faces``; remembers its place and the places of the others."""
        if self._box is None:
            face = choose(faces, self._choice, self.frame_size)
        else:
            mine = [one for one in faces if not self._is_other(one)]
            if self._missed < self._hold:
                mine = [one for one in mine if overlap(one.box, self._box) >= SAME_PLACE]
            face = min(mine, key=lambda one: _distance(one.box, self._box), default=None)
        rest = [one.box for one in faces if one is not face]
        if face is not None:
            self._box, self._others = face.box, rest
        elif self._box is not None:
            self._others = [_nearest(box, rest) for box in self._others]
        return face

    def _is_other(self, face: Face) -> bool:
        known = max((overlap(face.box, box) for box in self._others), default=0.0)
        return known >= SAME_PLACE and known > overlap(face.box, self._box)


def choose(faces: list[Face], choice: Choice, frame_size: tuple[int, int]) -> Face | None:
    """The face that ``choice`` names, None where there is no such face."""
    if choice == "largest":
        return max(faces, key=lambda face: _area(face.box), default=None)
    if choice == "center":
        middle = torch.tensor([frame_size[1] - 1, frame_size[0] - 1]) / 2
        return min(faces, key=lambda face: float((_centre(face.box) - middle).norm()), default=None)
    if isinstance(choice, int):
        in_order = sorted(faces, key=lambda face: float(_centre(face.box)[0]))
        return in_order[choice] if choice < len(in_order) else None
    if len(choice) == 2:
        point = torch.tensor(choice, dtype=torch.float32)
        there = [face for face in faces if (point >= face.box[:2]).all() and (point <= face.box[2:]).all()]
        return min(there, key=lambda face: float((_centre(face.box) - point).norm()), default=None)
    box = torch.tensor(choice, dtype=torch.float32)
    there = [face for face in faces if overlap(face.box, box) > 0]
    return max(there, key=lambda face: overlap(face.box, box), default=None)


def overlap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Intersection over union of two boxes [4], 0 to 1."""
    shared = float((torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod())
    return shared / (_area(a) + _area(b) - shared)


def _area(box: torch.Tensor) -> float:
    return float((box[2:] - box[:2]).prod())


def _centre(box: torch.Tensor) -> torch.Tensor:
    return (box[:2] + box[2:]) / 2


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((_centre(a) - _centre(b)).norm())


def _nearest(box: torch.Tensor, boxes: list[torch.Tensor]) -> torch.Tensor:
    """The one of ``boxes`` that continues ``box``, or ``box`` itself."""
    best = max(boxes, key=lambda other: overlap(box, other), default=box)
    return best if overlap(box, best) >= SAME_PLACE else box
