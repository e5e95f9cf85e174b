"""What can be said of a result without a reference: its mouth against the sound, its pictures against the source's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..faces.crop import crop_faces, face_region
from ..faces.follow import Follower, Seen
from ..faces.mask import GRID
from ..media import Frame, MemoryReader, Picture, Plan, Recording, VideoReader, clock_frames, extended_frames
from ..timeline import FPS
from .flicker import Flicker
from .lips import LipReader
from .opening import agreement, loudness
from .outside import Outside
from .pauses import closed_share, moving_share, pause_frames, silent_frames
from .seam import Seam
from .sharpness import Sharpness

OUTSIDE_EVERY = 25  # frames: whole pictures are compared that often
CLEAR_SPEECH = 25  # frames of it from which on a correlation is told


@dataclass(frozen=True)
class Quality:
    """Figures of a result (docs/evaluation.md, Without a reference); None where there is nothing to measure.

    Attributes:
        frames: 25-fps frames that show the face.
        pauses_moving: share of pause frames in which the mouth moves, 0 to 1; of ``pause_frames`` frames.
        closed_in_silence: share of frames over digital silence with closed lips; of ``silent_frames`` frames.
        opening_correlation, opening_lag: of the lips' gap with the loudness of the speech, and by how many frames of
            40 ms it is late.
        sharpness_ratio: gradient energy of the mouth over the source's.
        flicker: change from frame to frame beyond the source's, in grey levels of 255.
        seam: step across the mask's rim that the source does not have, in grey levels.
        outside_equal: whether every compared sample outside of the mouth is the source's.
        outside_psnr: else their signal to noise in dB, at most 100.
        notes: what was not measured and why, in sentences.
    """

    frames: int
    pauses_moving: float | None
    pause_frames: int
    closed_in_silence: float | None
    silent_frames: int
    opening_correlation: float | None
    opening_lag: int | None
    sharpness_ratio: float | None
    flicker: float | None
    seam: float | None
    outside_equal: bool | None
    outside_psnr: float | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """Plain values for JSON, under the names of the attributes."""
        return {**asdict(self), "notes": list(self.notes)}


def quality(
    result: Path,
    source: VideoReader | MemoryReader,
    audio: Recording,
    follower: Follower,
    plan: Plan | None = None,
    speaker: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Quality:
    """Measure a result once through, beside its source, at the memory of a few pictures.

    Args:
        result: video file.
        source: what it was made of, of the same picture size; both are put on the 25 fps clock.
        audio: what the speaker says, from the start of the result.
        follower: a new one, which finds the faces of the source as that of the run did.
        plan: what the result was made to consist of, where that is more or less than the source once (``SyncResult``).
        speaker: whose mouth is measured; those of the others do not count as outside.
        progress: called with the clock frames done.

    Raises:
        InputError: a file cannot be read, or the pictures are of different size.
    """
    passing = _Passing(speaker)
    with VideoReader(result) as made:
        sizes = [(video.info.width, video.info.height) for video in (made, source)]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{result} is {sizes[0][0]}x{sizes[0][1]} and its source {sizes[1][0]}x{sizes[1][1]} pixels; give a "
                "result and its own source."
            )
        frames = source.frames() if plan is None else extended_frames(source, plan)
        with _one_thread():
            for seen, theirs, ours in _in_step(made, frames, follower):
                passing.show(ours, theirs, seen)
                if progress is not None:
                    progress(len(passing.gaps))
    return passing.sum_up(audio.mono16k())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small steps, which a team of threads makes no faster, and on a busy machine much slower."""
    team = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(team)


def _in_step(made: VideoReader, frames: Iterator[Frame], follower: Follower) -> Iterator[tuple[Seen, Picture, Picture]]:
    """Clock frames of source and result, the source's with what is seen in them, which comes a little later."""
    waiting: deque[Picture] = deque()
    for theirs, ours in zip(clock_frames(frames), clock_frames(made.frames())):
        waiting.append(ours.shows.picture)
        frame = Frame(theirs.shows.picture, theirs.index / FPS, theirs.index, theirs.index)
        for done, seen in follower.push(frame):
            yield seen, done.picture, waiting.popleft()
    for done, seen in follower.finish():
        yield seen, done.picture, waiting.popleft()


class _Passing:
    """The measures while pictures pass by."""

    def __init__(self, speaker: int) -> None:
        self._speaker = speaker
        self._lips = LipReader()
        self._sharpness, self._flicker, self._seam, self._outside = Sharpness(), Flicker(), Seam(), Outside()
        self.gaps: list[float] = []
        self._shown = 0

    def show(self, result: Picture, source: Picture, seen: Seen) -> None:
        """The next clock frame."""
        if len(self.gaps) % OUTSIDE_EVERY == 0:
            self._outside.update(result, source, [sighting.matrix for sighting in seen.sightings])
        matrix = next((one.matrix for one in seen.sightings if one.speaker == self._speaker), None)
        if matrix is None:
            self._flicker.interrupt()
            self.gaps.append(torch.nan)
            return
        if seen.starts_shot:
            self._flicker.interrupt()
        self._shown += 1
        self.gaps += self._lips([result], matrix[None]).tolist()
        self._sharpness.update(result, source, matrix)
        crops = [_crop(picture, matrix[None]) for picture in (result, source)]
        self._flicker.update(*crops)
        self._seam.update(*crops)

    def sum_up(self, waveform: Tensor) -> Quality:
        """The figures; mono [samples] at 16 kHz is what is said."""
        gaps = torch.tensor(self.gaps)
        pause, silent = pause_frames(waveform, len(gaps)), silent_frames(waveform, len(gaps))
        shown = gaps.isfinite()
        speech = int((shown & ~pause).sum())
        follows = agreement(gaps, loudness(waveform, len(gaps))) if speech >= CLEAR_SPEECH else None
        notes = []
        if not self._shown:
            notes.append("No face was found in the source; nothing was measured of its mouth.")
        elif self._shown > 2 * int(shown.sum()):
            notes.append(f"The mesh saw the mouth in {int(shown.sum())} of {self._shown} frames.")
        if self._shown and not (pause & shown).any():
            notes.append("The speech has no pause long enough to see what the mouth does in it.")
        return Quality(
            frames=self._shown,
            pauses_moving=moving_share(gaps, pause),
            pause_frames=int((pause & shown).sum()),
            closed_in_silence=closed_share(gaps, silent),
            silent_frames=int((silent & shown).sum()),
            opening_correlation=follows and follows.best,
            opening_lag=follows and follows.lag,
            sharpness_ratio=self._sharpness.ratio,
            flicker=self._flicker.levels,
            seam=self._seam.levels,
            outside_equal=None if self._outside.share is None else self._outside.changed == 0,
            outside_psnr=self._outside.psnr,
            notes=tuple(notes),
        )


def _crop(picture: Picture, matrices: Tensor) -> Tensor:
    """Face crop uint8 [1, 256, 256, 3] on the grid of the mouth mask."""
    region = face_region([picture], matrices)
    return crop_faces(region, matrices, (GRID, GRID), (picture.height, picture.width)).permute(0, 2, 3, 1)
