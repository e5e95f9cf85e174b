"""A face followed through a video: what travels between the nodes of the graph instead of frames."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..lipforcing.errors import InputError
from . import host
from .graph import behind

if TYPE_CHECKING:
    from ..lipforcing.audio.base import AudioFeatures
    from ..lipforcing.faces.follow import Follower, Track
    from ..lipforcing.faces.landmarks import Face
    from ..lipforcing.faces.selection import FaceChoice
    from ..lipforcing.media import Frame, MemoryReader, Picture, Plan, VideoReader
    from ..lipforcing.stream.chunk import Chunk, Lane

CHOICES = {"auto": "largest", "center": "center", "full": "largest"}  # which of the faces found
CROPS = {"released": "attention478", "tiny": "drawn478"}  # layouts of the mesh, by whose crop they lead to
ESTIMATE = 2  # frames by which a container's own count may be wrong
NO_FACE = (
    "No face was found in the video; choose footage that shows a face at least 50 pixels wide, connect face_landmarks "
    "or bboxes, or set face to 'full' if the video is a face crop already."
)


@dataclass(frozen=True)
class TrackedVideo:
    """A face in every frame of a planned output.

    Attributes:
        source: the host's VIDEO, or IMAGE [T, H, W, C]; frames are read from it again whenever they are needed.
        fps: frame rate of an IMAGE, not used for a VIDEO.
        plan: which frames the output shows, and for how long.
        track: of these frames.
        speakers: how many people it follows.
        layout: of the mesh that the face was found with, see `Family`; None where it was found otherwise.
    """

    source: Any
    fps: float
    plan: Plan
    track: Track
    speakers: int = 1
    layout: str | None = None

    @contextlib.contextmanager
    def frames(self) -> Iterator[Iterator[Frame]]:
        """The frames of the output, read anew."""
        from ..lipforcing.media import extended_frames

        with open_reader(self.source, self.fps) as reader:
            yield extended_frames(reader, self.plan)

    def follower(self) -> Follower:
        """The track, frame by frame."""
        from ..lipforcing.faces.follow import RecordedFollower

        return Cancellable(RecordedFollower(self.track))

    def chunks(self, frames: Iterator[Frame], speech: AudioFeatures | None = None) -> Iterator[Chunk]:
        """The frames in chunks, for whoever needs no models: their runs remember no more than what pasting needs.

        `speech` says where the source's own mouth is shown, see `Manner`.
        """
        from ..lipforcing.sampling.noise import NoiseKey
        from ..lipforcing.stream.chunker import cut
        from ..lipforcing.stream.run import Run
        from ..lipforcing.stream.voice import Voice

        voices = []
        for said in self.spoken(speech):
            voices.append(Voice(None, None, None, manner=said.manner))
            voices[-1].push_activity(said.active)

        def new_run(time: float, rank: int, speaker: int) -> Run:
            return Run(NoiseKey(0), voices[speaker] if voices else None, None, None)

        return cut(frames, self.follower(), new_run)

    def spoken(self, speech: AudioFeatures | None) -> list[AudioFeatures]:
        """What each of those whom the track follows says; nothing where there is no speech.

        Raises:
            InputError: they are not as many.
        """
        said = [speech, *speech.others] if speech is not None else []
        if said and len(said) != self.speakers:
            raise InputError(
                f"The track follows {self.speakers} and the speech is that of {len(said)}; connect the same Lip "
                "Forcing Speaker to speakers of Lip Forcing Face Track and of Lip Forcing Audio Encode."
            )
        return said


def shown(chunk: Chunk, lane: Lane) -> slice:
    """Which of a lane's ticks show its face: those of the frames that exist and that the face is in."""
    return slice(lane.first - lane.offset, chunk.ticks - lane.offset)


@contextlib.contextmanager
def open_reader(
    source: Any, fps: float = 25, start: float = 0.0, limit: float | None = None
) -> Iterator[VideoReader | MemoryReader]:
    """A reader of a VIDEO, of at most `limit` seconds of it from `start` on, or of an IMAGE batch of `fps` frames per
    second.

    Raises:
        InputError: a rate that is none.
    """
    import torch

    from ..lipforcing.media import MemoryReader, VideoReader

    if isinstance(source, torch.Tensor):
        if not 1 <= fps <= 240:  # what comes through a wire was not checked by the host
            raise InputError(f"fps is {fps:g}; connect or enter the rate of these images, 1 to 240 frames per second.")
        with MemoryReader(source, fps) as reader:
            yield reader
        return
    with host.video_source(source) as file:
        lengths = [limit, None if file.duration is None else file.duration - start]
        duration = min((length for length in lengths if length is not None), default=None)
        with VideoReader(file.file, file.start + start, duration) as reader:
            yield reader


def refuse_parts(graph: dict | None, node: str, name: str = "video") -> None:
    """Refuse a clip that Rebatch Images hands over in parts: every part would hear the speech from its beginning.

    Args:
        graph: the running prompt in API format.
        node: id in there.
        name: of the node's input.

    Raises:
        InputError: names the node to go around.
    """

    def passes_parts_on(source: dict) -> bool:
        return not host.takes_lists(source["class_type"])  # such a node sees all parts

    for number, source in behind(graph or {}, node, name, passes_parts_on):
        if source["class_type"] == "RebatchImages":
            raise InputError(
                f"Rebatch Images (node {number}) hands the video over in parts, and each would hear the speech from "
                f"its beginning; connect what goes into that node to {name} instead."
            )


class Cancellable:
    """A follower that looks at every frame whether the user has asked to stop: reading a chunk may take seconds."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def push(self, frame: Frame) -> list:
        host.check_cancelled()
        return self._follower.push(frame)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._follower, name)


class RecordedFaces:
    """A detector that repeats what was detected before, for the frames of a planned output in order.

    Args:
        faces: one list of faces per source frame.
        fill: how the source goes on where the output is longer, see `DurationPolicy`.
    """

    def __init__(self, faces: list[list[Face]], fill: str) -> None:
        from ..lipforcing.media import frame_order

        self._faces = faces
        self._order = frame_order(len(faces), fill)

    def __call__(self, picture: Picture, known: Sequence[Face] = (), search: bool = True) -> list[Face]:
        return self._faces[next(self._order)]


class FaceMesh:
    """A FACE_DETECTION_MODEL of the host (MediaPipe) as a detector.

    Its short-range detector looks at every frame; the one for small faces only where that finds nothing.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, picture: Picture, known: Sequence[Face] = (), search: bool = True) -> list[Face]:
        image = picture.rgb().numpy()
        return self._detect(image, "short") or self._detect(image, "full")

    def _detect(self, image: Any, variant: str) -> list[Face]:
        (found,) = self._model.detect_batch([image], num_faces=0, score_thresh=0.5, variant=variant)
        return [mesh_face(face) for face in found]


def follower_for(
    face: str,
    landmarks: dict | None,
    boxes: Any,
    mesh: Any,
    frames: int,
    fill: str,
    others: Sequence[FaceChoice] = (),
    layout: str | None = None,
) -> Follower:
    """What follows the face: recorded landmarks or boxes where there are any, else a detector, or what `face` says.

    Args:
        face: "auto", "center" or "full".
        landmarks, boxes, mesh: the host's FACE_LANDMARKS, BOUNDING_BOX and FACE_DETECTION_MODEL, or None.
        frames: how many the source video has.
        fill: how it goes on where the output is longer.
        others: further faces to follow.
        layout: of the face mesh, see `Family`; None is the released models'.

    Raises:
        InputError: recorded for another video, no box, or others in a face crop.
    """
    from ..lipforcing.faces import selection
    from ..lipforcing.faces.align import box_matrix
    from ..lipforcing.faces.follow import DetectingFollower, FixedFollower
    from ..lipforcing.faces.mesh_detector import LAYOUT

    choices = [CHOICES[face], *("largest" if other == "auto" else other for other in others)]
    if landmarks is not None:
        recorded, what = faces_of_landmarks(landmarks), "face_landmarks"
    elif boxes is not None:
        recorded, what = faces_of_boxes(boxes), "bboxes"
    elif mesh is not None and face != "full":
        return DetectingFollower(FaceMesh(mesh), choices)
    else:
        layout = layout or LAYOUT
        return selection.followers_for([face, *others], device=host.compute_device(), layout=layout)
    if isinstance(recorded, tuple):
        if others:
            raise InputError("A single box in bboxes is one face; for several people, connect boxes of every frame.")
        return FixedFollower(box_matrix(*recorded))
    if abs(len(recorded) - frames) > ESTIMATE:
        raise InputError(
            f"The {what} input covers {len(recorded)} frames, the video has {frames}; detect faces in all frames of "
            "this very video."
        )
    return DetectingFollower(RecordedFaces(recorded, fill), choices, every=0.0)


def faces_of_landmarks(landmarks: dict) -> list[list[Face]]:
    """Faces per frame of the host's FACE_LANDMARKS (MediaPipe face mesh, which reproduces the trained crop)."""
    return [[mesh_face(found) for found in frame] for frame in landmarks["frames"]]


def mesh_face(found: dict) -> Face:
    """One face as the host's MediaPipe nodes describe it."""
    import torch

    from ..lipforcing.faces.landmarks import Face

    box, points = (torch.as_tensor(found[key], dtype=torch.float32) for key in ("bbox_xyxy", "landmarks_xy"))
    return Face(box, float(found.get("score", 1.0)), points, "mediapipe478")


def faces_of_boxes(boxes: Any) -> list[list[Face]] | tuple[float, float, float, float]:
    """Faces per frame of the host's BOUNDING_BOX; left, top, right, bottom of a single one, for a face that stays.

    Raises:
        InputError: no box at all.
    """
    import torch

    from ..lipforcing.faces.align import box_points
    from ..lipforcing.faces.landmarks import Face

    per_frame = [boxes] if isinstance(boxes, dict) else list(boxes)
    if per_frame and all(isinstance(box, dict) for box in per_frame):
        per_frame = [per_frame]
    if not any(per_frame):
        raise InputError("The bboxes input holds no box; connect a face detector that finds a face, or leave it open.")
    if len(per_frame) == 1:
        first = per_frame[0] if isinstance(per_frame[0], dict) else per_frame[0][0]
        return _edges(first)
    found = []
    for frame in per_frame:
        edges = [_edges(box) for box in frame]
        scores = [float(box.get("score", 1.0)) for box in frame]
        found.append([Face(torch.tensor(e), s, box_points(*e), "anchors") for e, s in zip(edges, scores)])
    return found


def check_boxes(boxes: Any, width: int, height: int) -> None:
    """Check the host's BOUNDING_BOX, or None, against the size of the picture.

    Raises:
        InputError: a box that shows nothing of it.
    """
    per_frame = [boxes] if isinstance(boxes, dict) else boxes or ()
    for box in (one for frame in per_frame for one in ([frame] if isinstance(frame, dict) else frame)):
        left, top, right, bottom = _edges(box)
        if not (left < width and top < height and right > max(left, 0) and bottom > max(top, 0)):
            raise InputError(
                f"The bboxes input has a box from {left:g}, {top:g} to {right:g}, {bottom:g}, which shows nothing of "
                f"the {width} x {height} picture; detect faces in this very video, or correct the box."
            )


def _edges(box: dict) -> tuple[float, float, float, float]:
    x, y = float(box["x"]), float(box["y"])
    return x, y, x + float(box["width"]), y + float(box["height"])
