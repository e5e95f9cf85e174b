"""Scoring a video: find its faces, crop them as SyncNet wants them, compare each with the sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from ..faces.landmarks import Face, LandmarkDetector
from ..faces.mesh_detector import DRAWN_LAYOUT, LAYOUT, MeshDetector
from ..faces.selection import FaceChoice
from ..faces.shots import THUMBNAIL, CutDetector
from ..media import MemoryReader, Picture, VideoReader, clock_frames
from ..models.syncnet import SyncNet
from ..timeline import FPS, SAMPLES_PER_FRAME
from .report import SyncReport, Verdict
from .score import Scorer
from .tracks import (
    MIN_FACE,
    MIN_TRACK,
    BoxTracker,
    SquareTrack,
    aligned_crop,
    fixed_square,
    square_crop,
    whole_crop,
)

SEARCH = 12  # frames from one look for faces that are new to the next

#: Starts a new pass over the pictures of a video on the 25 fps clock.
Pictures = Callable[[], Iterable[Picture]]


@dataclass(frozen=True)
class FaceScore:
    """One face of a video.

    Attributes:
        first, frames: clock frame where it appears, and how many it stays.
        box: where it is on average, (left, top, right, bottom) in pixels; None where the footage is a face crop.
        report: how well it follows the sound of these frames.
    """

    first: int
    frames: int
    box: tuple[float, float, float, float] | None
    report: SyncReport

    def to_dict(self) -> dict:
        """Plain values for JSON: ``start`` and ``seconds``, ``box``, and the keys of ``SyncReport.to_dict``."""
        box = self.box and [round(edge, 1) for edge in self.box]
        return {"start": self.first / FPS, "seconds": self.frames / FPS, "box": box, **self.report.to_dict()}


@dataclass(frozen=True)
class VideoScore:
    """All faces of a video, in order of their appearance."""

    faces: tuple[FaceScore, ...]

    @property
    def main(self) -> FaceScore | None:
        """The face that is seen longest, of several the largest; None without a face."""
        return max(self.faces, key=lambda face: (face.frames, _width(face)), default=None)

    @property
    def report(self) -> SyncReport:
        """Report of the main face, or one that says that there is none."""
        return self.main.report if self.faces else SyncReport.without_figures(Verdict.NO_FACE)

    def to_dict(self) -> dict:
        """Plain values for JSON: ``verdict``, ``confidence``, ``distance``, ``offset`` of the main face; ``faces``."""
        whole = self.report.to_dict()
        summary = {key: whole[key] for key in ("verdict", "confidence", "distance", "offset")}
        return {**summary, "faces": [face.to_dict() for face in self.faces]}


def score_video(
    model: SyncNet,
    video: VideoReader,
    waveform: torch.Tensor,
    face: FaceChoice = "auto",
    detector: LandmarkDetector | None = None,
    **options,
) -> VideoScore:
    """``score_pictures`` of a video file, put on the 25 fps clock by its time stamps."""
    return score_pictures(model, lambda: clock_pictures(video), waveform, face, detector, **options)


def clock_pictures(video: VideoReader | MemoryReader) -> Iterator[Picture]:
    """Pictures of a video on the 25 fps clock: what each clock frame shows."""
    return (group.shows.picture for group in clock_frames(video.frames()))


def score_pictures(
    model: SyncNet,
    pictures: Pictures,
    waveform: torch.Tensor,
    face: FaceChoice = "auto",
    detector: LandmarkDetector | None = None,
    *,
    min_track: int = MIN_TRACK,
    min_face: float = MIN_FACE,
    batch: int = 32,
) -> VideoScore:
    """Score every face of a video against the recording that starts with it.

    "auto" makes two passes over the video: one that finds the faces (docs/evaluation.md, Which faces, which crops) and
    one that crops and scores them. Memory is that of a few pictures and a batch of crops per face on the screen,
    whatever the length. A model trained on aligned crops gets those (``SyncNetConfig.aligned``), every other one the
    reference's square.

    Args:
        model: SyncNet in evaluation mode, on the device to work on.
        pictures: see ``Pictures``.
        waveform: mono float [samples] in [-1, 1] at 16 kHz.
        face: "auto" for all faces, "full" for footage that is a face crop, or the box of a face that stays in place.
        detector: finds the faces, for "auto"; by default the package's own.
        min_track: least number of detections of a face, exclusive.
        min_face: least mean size of a face in pixels, exclusive.
        batch: crops passed through the lip network at a time.
    """
    if face == "auto":
        detector = detector or detector_of(model)
        tracks = find_faces(pictures(), detector).tracks(min_track, min_face)
    else:
        tracks = [None if face == "full" else SquareTrack(0, fixed_square(*face)[None])]
    jobs = [FaceScorer(model, track, face != "auto", waveform, batch) for track in tracks]
    for index, picture in enumerate(pictures()):
        waiting = [job for job in jobs if not job.finished]
        if not waiting:
            break
        for job in waiting:
            job.show(index, picture)
    return VideoScore(tuple(job.score() for job in jobs))


def detector_of(model: SyncNet) -> MeshDetector:
    """The package's own detector, for the crops that a model takes."""
    layout = DRAWN_LAYOUT if model.config.aligned else LAYOUT
    return MeshDetector(next(model.parameters()).device, layout)


def find_faces(pictures: Iterable[Picture], detector: LandmarkDetector) -> BoxTracker:
    """Detections of a whole video, chained."""
    tracker, cuts = BoxTracker(), CutDetector()
    known: list[Face] = []
    for number, picture in enumerate(pictures):
        cut = cuts(picture.thumbnail(THUMBNAIL, THUMBNAIL))
        known = detector(picture, () if cut else known, cut or number % SEARCH == 0)
        tracker.update(known, cut)
    return tracker


class FaceScorer:
    """Scores one face while the pictures of its video pass by.

    Args:
        model, waveform, batch: see ``score_pictures``.
        track: where the face is; None for footage that is a face crop.
        still: whether the face stays at the track's first square for as long as the video lasts.
    """

    def __init__(
        self, model: SyncNet, track: SquareTrack | None, still: bool, waveform: torch.Tensor, batch: int = 32
    ) -> None:
        self.track = track
        self.first = 0 if track is None else track.first
        self.end = None if still else track.end
        self.frames = 0
        self._size = model.config.image_size
        self._crop = aligned_crop if model.config.aligned else square_crop
        stop = None if still else self.end * SAMPLES_PER_FRAME
        self._scorer = Scorer(model, waveform[self.first * SAMPLES_PER_FRAME : stop])
        self._batch = batch
        self._crops: list[torch.Tensor] = []

    @property
    def finished(self) -> bool:
        """Whether further pictures change nothing."""
        return self._scorer.finished or (self.end is not None and self.first + self.frames == self.end)

    def show(self, index: int, picture: Picture) -> None:
        """Continue with the picture of clock frame ``index``."""
        if index < self.first:
            return
        if self.track is None:
            crop = whole_crop(picture.rgb(), self._size)
        else:
            row = 0 if self.end is None else index - self.first
            crop = self._crop(picture.rgb(), self.track.squares[row], self._size)
        self._crops.append(crop)
        self.frames += 1
        if len(self._crops) == self._batch:
            self._flush()

    def score(self) -> FaceScore:
        """Sum up after the last picture."""
        if self._crops:
            self._flush()
        return FaceScore(self.first, self.frames, self.track and self.track.box, self._scorer.report())

    def _flush(self) -> None:
        self._scorer.push(torch.stack(self._crops))
        self._crops.clear()


def _width(face: FaceScore) -> float:
    return 0.0 if face.box is None else face.box[2] - face.box[0]
