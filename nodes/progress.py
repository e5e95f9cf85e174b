"""A running node's progress: the host's bar and live picture, and the numbers of the meter in the node."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..lipforcing.timeline import CHUNK_LATENTS, FPS, TEMPORAL_FACTOR
from . import host
from .memory import MemoryWatch, log_run

if TYPE_CHECKING:
    from torch import Tensor

    from ..lipforcing.media import Picture
    from .host.patchers import RunningStudent

PREVIEW_SIDE = 512  # pixels of the live picture, either way

# Pictures cost an encode and a message each; more than this is not seen better.
PICTURES_PER_SECOND = 5

CHUNK_SECONDS = CHUNK_LATENTS * TEMPORAL_FACTOR / FPS  # of video, that a chunk lasts
NEWEST = 0.3  # weight of the newest chunk in the pace that the time left is estimated from

# The event and the key in the node's `ui` output under which js/lipforcing.js looks for the numbers.
EVENT = "lipforcing.progress"
OUTPUT = "lipforcing_progress"


def panel(key: str, values: dict) -> dict:
    """The `ui` of a node output that carries ``values`` to the panel which the front end draws in the node.

    The host counts every dictionary in a list of `ui` as a saved file (`outputs_count` of its jobs, shown as a number
    on the result); a list in the list is passed on uncounted.
    """
    return {key: [[values]]}


@dataclass(frozen=True)
class FrameNumbers:
    """How far a run is and how fast, as the meter shows it.

    ``done`` of ``total`` frames are finished, ``seconds`` after the node began; ``first_frame_seconds`` passed until
    the first one, with loading. ``fps`` is the mean speed since then and ``realtime`` the same in seconds of video per
    second; ``remaining_seconds`` is an estimate from the last chunks. These three are None until the second chunk is
    done.
    """

    done: int
    total: int
    seconds: float
    first_frame_seconds: float
    fps: float | None
    realtime: float | None
    remaining_seconds: float | None


class Pace:
    """Speed of a run that finishes its frames in bursts, a chunk at a time; the time up to the first does not count.

    Args:
        chunk: frames of a chunk, or about as many: over that many frames there is one wait.

    Attributes:
        mean: seconds per frame since the first one; None before the second chunk.
        recent: exponential moving average over the chunks (`NEWEST`); None before the second chunk.
    """

    def __init__(self, chunk: float) -> None:
        self._chunk = chunk
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)
        self.mean: float | None = None
        self.recent: float | None = None

    def push(self, done: int, seconds: float) -> None:
        """So many frames are done after so many seconds."""
        if self._first is None:
            self._first = self._last = (done, seconds)
        if done - self._last[0] < self._chunk:
            return
        newest = (seconds - self._last[1]) / (done - self._last[0])
        self.recent = newest if self.recent is None else self.recent + NEWEST * (newest - self.recent)
        self.mean = (seconds - self._first[1]) / (done - self._first[0])
        self._last = (done, seconds)


class FrameProgress:
    """Shows finished frames in the node that makes them; call it with (frames done, frames in all, picture).

    ``picture``: the newest finished frame. Every call is a cancel point: it raises the host's interrupt once the user
    has asked to stop.

    Args:
        node_id: of the running node, to which the numbers are sent.
        frame_rate: of the video that is made, frames per second.
    """

    def __init__(self, node_id: str, frame_rate: float):
        self._node_id = node_id
        self._frame_rate = frame_rate
        self._report = host.progress_bar()
        self._began = time.perf_counter()
        self._pace = Pace(CHUNK_SECONDS * frame_rate)
        self._first: float | None = None
        self._shown = 0.0
        self._numbers: FrameNumbers | None = None

    def __call__(self, done: int, total: int, picture: Picture) -> None:
        now = time.perf_counter()
        self._numbers = self._measure(done, total, now - self._began)
        if 1 < done < total and now - self._shown < 1 / PICTURES_PER_SECOND:
            self._report(done, total, None)
            return
        self._shown = now
        self._report(done, total, _small(picture))
        host.send_event(EVENT, {"node": self._node_id, **asdict(self._numbers)})

    def ui(self, memory: MemoryWatch, student: RunningStudent, note: str = "") -> dict:
        """The last numbers as the `ui` of the node's output, with which they outlast a reload of the page; also a line
        of the log.

        The host keeps them for a node whose schema says `has_intermediate_output=True`. Empty where no frame was made.
        `note`: what else the user should know of the result.
        """
        if self._numbers is None:
            return {}
        peak = memory.peak
        log_run(self._numbers, peak, student)
        return panel(OUTPUT, {**asdict(self._numbers), "peak_gigabytes": peak, "note": note})

    def _measure(self, done: int, total: int, seconds: float) -> FrameNumbers:
        self._first = self._first or seconds
        self._pace.push(done, seconds)
        if self._pace.recent is None:
            return FrameNumbers(done, total, seconds, self._first, None, None, None)
        fps, left = 1 / self._pace.mean, (total - done) * self._pace.recent
        return FrameNumbers(done, total, seconds, self._first, fps, fps / self._frame_rate, left)


class StepProgress:
    """Moves the bar of a node that has no picture to show. Every call is a cancel point.

    Args:
        total: number of steps, as far as known.
    """

    def __init__(self, total: int) -> None:
        self._done, self._total = 0, total
        self._report = host.progress_bar()

    def step(self, count: int = 1) -> None:
        """So many more steps are done."""
        self._done += count
        self._report(self._done, max(self._done, self._total), None)


def _small(picture: Picture) -> Tensor:
    """A picture as the live preview shows it, uint8 [h, w, 3]."""
    shrink = min(1.0, PREVIEW_SIDE / max(picture.height, picture.width))
    return picture.thumbnail(max(1, round(picture.height * shrink)), max(1, round(picture.width * shrink)))
