"""Speech on its way to the network: encoded as it comes, packed at once, looked up by time."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from ..audio.base import AudioEncoder
from ..audio.manner import AHEAD, PLAIN, Activity, Manner, level, rest_row
from ..sampling.causal import Student
from ..timeline import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, TEMPORAL_FACTOR

MIDDLE = (TEMPORAL_FACTOR - 1) / 2  # rows from the middle of four to the last of them
SNAP = 0.02  # rows; times come from divisions and clocks of milliseconds, and a whole row shall be just that row


class Voice:
    """One speaker's sound, as the packed vectors that the network takes.

    An encoder gives one row per clock frame (25 per second). What the network takes of a latent frame is the vector of
    four successive rows (of one row repeated, for the first latent frame of a run), so for every row two vectors are
    kept: of the four rows that end with it, and of itself alone. That is a few hundred bytes per second; the rows
    themselves, 43 kB each for wav2vec2, are let go.

    Frames need not lie on the clock: a latent frame asks for the vectors at the middle of its frames' times, and gets
    what lies between the nearest two. What is heard of them is shaped by a :class:`~..audio.manner.Manner`.

    Args:
        encoder: see ``AudioEncoder``; None where rows are given (``push_rows``).
        student: packs.
        like: a tensor with the dtype and device of packed vectors.
        start: time in seconds at which the sound begins.
        keep: rows behind the last one heard for which the encoder's state is kept (``rewind``).
        manner: how the sound moves the mouth.
        rest: the row [D] of silence, where the manner needs it and there is no encoder.
    """

    def __init__(
        self,
        encoder: AudioEncoder | None,
        student: Student,
        like: Tensor,
        start: float = 0.0,
        keep: int = 0,
        manner: Manner = PLAIN,
        rest: Tensor | None = None,
    ) -> None:
        self.start = start
        self.manner = manner
        self._activity = Activity() if manner.listens and encoder is not None else None
        self._active: list[bool] = []  # per row, where the manner listens
        self._stream = encoder.stream() if encoder is not None else None
        self._student = student
        self._like = like
        self._vectors: list[Tensor] = []  # [2, audio_hidden] per row
        self._recent: deque[Tensor] = deque(maxlen=TEMPORAL_FACTOR)  # the last rows, [D]
        self._states: deque = deque()  # before each row, from ``keep`` rows behind the last one heard on
        self._keep = keep
        self._pending = torch.zeros(0)  # samples that do not fill a row yet, where states are kept
        self.samples = 0
        self.finished = False
        self._rest: Tensor | None = None  # [2, audio_hidden]
        if manner.rests:
            row = (rest_row(encoder) if rest is None else rest).to(like).expand(2, TEMPORAL_FACTOR, -1)
            with torch.inference_mode():
                self._rest = student.embed_audio(row)[:, 0]

    @property
    def look_ahead(self) -> int:
        """Rows beyond those that are shown that must be there."""
        return AHEAD if self.manner.listens else 0

    @property
    def rows(self) -> float:
        """Rows that are there; without end once the sound has ended, for the last one then goes on."""
        return math.inf if self.finished else len(self._vectors)

    @torch.inference_mode()
    def push(self, samples: Tensor) -> None:
        """Go on with the sound: mono float32 [n] at 16 kHz."""
        self.samples += len(samples)
        if not self._keep:
            self._encode(samples)
            return
        # Row by row, so that there is a state to go back to at each.
        waiting = torch.cat((self._pending, samples))
        while len(waiting) >= SAMPLES_PER_FRAME:
            encoded = self.samples - len(waiting)
            known = len(self._vectors), len(self._active)
            states = copy.copy(self._stream), copy.copy(self._activity)
            self._states.append((encoded, *states, *known, tuple(self._recent)))
            self._encode(waiting[:SAMPLES_PER_FRAME])
            waiting = waiting[SAMPLES_PER_FRAME:]
        self._pending = waiting

    def finish(self, frames: int = 0) -> None:
        """The sound ends here; ``frames``: clock frames that are shown, see ``AudioStream.finish``.

        Where there was no sound at all, or it was taken back, silence is heard.
        """
        self._encode(self._pending)
        self.push_rows(self._stream.finish(max(1, frames)))
        if self._activity is not None:
            self.push_activity(self._activity.finish(len(self._vectors)))
        self._pending, self._stream, self.finished = torch.zeros(0), None, True

    def _encode(self, samples: Tensor) -> None:
        if self._activity is not None:
            self.push_activity(self._activity.push(samples))
        self.push_rows(self._stream.push(samples))

    def push_activity(self, active: Sequence[bool]) -> None:
        """Go on with whether somebody speaks, per row; comes with ``push_rows`` where the manner listens."""
        self._active.extend(active)

    @torch.inference_mode()
    def push_rows(self, rows: Tensor) -> None:
        """Go on with rows [k, D] of an encoder."""
        for row in rows.to(self._like):
            # One at a time: a matrix product's rounding depends on its size, and equal sound shall give equal vectors.
            self._recent.append(row)
            while len(self._recent) < TEMPORAL_FACTOR:
                self._recent.append(row)
            window, alone = torch.stack(tuple(self._recent)), row.expand(TEMPORAL_FACTOR, -1)
            self._vectors.append(self._student.embed_audio(torch.stack((window, alone)))[:, 0])

    def finish_rows(self) -> None:
        """No rows follow ``push_rows``."""
        self.finished = True

    def window(self, times: Sequence[float]) -> Tensor:
        """Vector [1, audio_hidden] of a latent frame whose four frames are shown at ``times`` in seconds."""
        middle = sum(times) / len(times)
        return self._at((middle - self.start) * FPS + MIDDLE, 0)

    def alone(self, time: float) -> Tensor:
        """Vector [1, audio_hidden] of a first latent frame, whose frame is shown at ``time`` in seconds."""
        return self._at((time - self.start) * FPS, 1)

    def heard(self, times: Sequence[float]) -> bool:
        """Whether the sound up to the last of ``times`` is encoded."""
        row = math.ceil(_snapped((times[-1] - self.start) * FPS))
        known = math.inf if self.finished or not self.manner.listens else len(self._active)
        if row >= min(self.rows, known - self.look_ahead):
            return False
        while self._states and self._states[0][0] < (row - self._keep) * SAMPLES_PER_FRAME:
            self._states.popleft()
        return True

    def _at(self, place: float, kind: int) -> Tensor:
        place = max(_snapped(place), 0.0)
        low, share = int(place), place - int(place)
        vector = self._vector(low)[kind]
        vector = torch.lerp(vector, self._vector(low + 1)[kind], share) if share else vector
        if self._rest is not None:
            heard = self._level(place - (0 if kind else MIDDLE)) if self.manner.pauses == "rest" else 1.0
            vector = torch.lerp(self._rest[kind], vector, self.manner.strength * heard)
        return vector[None]

    def opacity(self, time: float) -> float:
        """How much of the generated mouth is shown at ``time`` in seconds, the source's own being below it: 0 to 1."""
        return self._level(_snapped((time - self.start) * FPS)) if self.manner.pauses == "source" else 1.0

    def _level(self, place: float) -> float:
        place = max(place, 0.0)
        low, share = int(place), place - int(place)
        return level(self._active, low) * (1 - share) + (level(self._active, low + 1) * share if share else 0.0)

    def _vector(self, row: int) -> Tensor:
        while row >= len(self._vectors):  # the last row goes on
            self.push_rows(self._recent[-1][None])
        return self._vectors[row]

    def rewind(self, time: float) -> float:
        """Forget the sound from the row at ``time`` on, as if it had never been pushed.

        Returns:
            time in seconds at which what is pushed next will be heard.

        Raises:
            ValueError: states were not kept that far back.
        """
        samples = max(0, math.ceil((time - self.start) * FPS - SNAP)) * SAMPLES_PER_FRAME
        if samples < self.samples:
            while self._states and self._states[-1][0] > samples:
                self._states.pop()
            if not self._states or self._states[-1][0] != samples:
                raise ValueError(f"the state at sample {samples} is not kept any more; keep more rows")
            _, self._stream, self._activity, rows, known, recent = self._states.pop()
            del self._vectors[rows:], self._active[known:]
            self._recent.clear()
            self._recent.extend(recent)
            self._pending, self.samples, self.finished = torch.zeros(0), samples, False
        return self.start + self.samples / SAMPLE_RATE


def _snapped(place: float) -> float:
    """A place in rows; a whole number where it is nearly one."""
    return float(round(place)) if abs(place - round(place)) < SNAP else place
