"""A live lip-sync session: frames and sound are pushed as they come, finished frames are taken as they are ready.

A file is a session fed by a reader and drained by a writer (``pipeline``), a node is another. Equal frames, sound and
seed give equal results in all of them, whatever the sizes of the pushes and whoever runs the stages.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from torch import Tensor

from .audio.manner import AHEAD, PLAIN, Manner
from .audio.voice_activity import CHUNK
from .errors import InputError
from .faces.follow import Follower
from .media import Frame
from .sampling.noise import NoiseKey
from .stream.chunk import Chunk, Output
from .stream.chunker import LATER, Cutter
from .stream.execute import Executor, InOrder, Overlapped
from .stream.family import Family
from .stream.meter import Meter
from .stream.run import Run
from .stream.stages import Check, Stage, Stages, go_on, rewind
from .stream.ticks import NOMINAL
from .stream.voice import Voice
from .timeline import FPS, SAMPLE_RATE, frame_at

NO_FACE = (
    "No face was found in {}; choose footage that shows a face at least 50 pixels wide, or say where it is: a box "
    "x0,y0,x1,y1, or full for footage that is a face crop already."
)


class LipSyncSession:
    """Lip-synchronises a stream of frames.

    Args:
        family: the models.
        follower: finds the faces.
        voices: what each speaker says, in the order of the follower's choices; by default one that is pushed to.
        seed: of the noise.
        overlapped: run the stages on threads of their own instead of the caller's.
        streams: on a CUDA device, also on streams of their own.
        keep: seconds of the newest frames to which an interruption may go back.
        manner: how sound that is pushed moves the mouths.
        paste: lay the faces over the pictures; else they are only generated.
        write: a last stage for finished chunks, run like the others.
        meter: times the stages.
        check: called again and again by the stages, and while the caller waits for them; what it raises ends the work.
    """

    def __init__(
        self,
        family: Family,
        follower: Follower,
        voices: Sequence[Voice] = (),
        *,
        seed: int = 42,
        overlapped: bool = False,
        streams: bool = True,
        keep: float = 0.0,
        manner: Manner = PLAIN,
        paste: bool = True,
        write: Stage | None = None,
        meter: Meter | None = None,
        check: Check = go_on,
    ) -> None:
        self.family = family
        self.seed = seed
        self._keep = keep
        self._manner = manner
        self.voices = list(voices) or [self.voice()]
        self.meter = meter or Meter(family.device)
        self._look_ahead = follower.look_ahead
        self._cutter = Cutter(follower, self._new_run, family.codec.look_ahead)
        stages = Stages(family, keep > 0, check).in_order()
        if not paste:
            del stages["paste"]
        if write is not None:
            stages["write"] = write
        self._executor: Executor = (
            Overlapped(stages, self.meter, family.device if streams else None, check=check)
            if overlapped
            else InOrder(stages, self.meter)
        )
        self._deaf: deque[Chunk] = deque()  # chunks that wait for sound
        self._recent: deque[Chunk] = deque()  # chunks that were handed on in the last ``keep`` seconds
        self._firsts: dict[Chunk, int] = {}  # number of the first frame in each of them or after it
        self._next = 0  # number of the frame that follows them
        self._held: list[Output] = []  # finished when an interruption waited for others

    def __enter__(self) -> LipSyncSession:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def voice(self, start: float = 0.0) -> Voice:
        """A voice for this session's student, heard from ``start`` seconds on."""
        rows = math.ceil(self._keep * FPS) + 2 * LATER if self._keep else 0  # a chunk is reached over at either end
        return Voice(self.family.audio, self.family.student, self.family.text, start, rows, self._manner)

    @property
    def found(self) -> int:
        """Frames so far that show a face."""
        return self._cutter.found

    @property
    def latency(self) -> float:
        """Seconds from a frame's coming in to its going out finished, at most, but for the time that computing takes.

        A frame waits for the rest of its chunk, and the chunk for what its stages want to see and hear beyond it.
        """
        look_ahead = self.family.codec.look_ahead * NOMINAL + self._look_ahead
        heard = self.family.audio.look_ahead / SAMPLE_RATE if self.family.audio is not None else 0.0
        listened = AHEAD / FPS + CHUNK / SAMPLE_RATE if self._manner.listens else 0.0
        return LATER * NOMINAL + max(look_ahead, heard, listened)

    def push_frame(self, frame: Frame, opacity: float = 1.0) -> list[Output]:
        """Go on with a frame; gives the frames that are finished by now, in order.

        ``opacity`` of the mouths in it: 0 lets the frame pass as it is, and ends the runs in it (nobody speaks).
        """
        with self.meter.stage("follow"):
            chunks = self._cutter.push(frame, opacity)
        # A stage that failed, or was cancelled, is heard of here, not only when the next chunk is full.
        return self._submit(chunks) + _outputs(self._executor.ready())

    def push_audio(self, samples: Tensor, speaker: int = 0) -> list[Output]:
        """Go on with a speaker's sound, mono float32 [n] in [-1, 1] at 16 kHz; gives finished frames."""
        self.voices[speaker].push(samples)
        return self._hear()

    def finish_audio(self, speaker: int = 0, frames: int = 0) -> list[Output]:
        """A speaker's sound ends; ``frames``: clock frames that are shown, see ``AudioStream.finish``."""
        self.voices[speaker].finish(frames)
        return self._hear()

    def ready(self) -> list[Output]:
        """Frames that were finished since the last call of any kind."""
        return self._hear() + _outputs(self._executor.ready())

    def finish(self) -> list[Output]:
        """No frame follows: the frames that are left.

        Raises:
            InputError: a chunk waits for sound that never came.
        """
        with self.meter.stage("follow"):
            chunks = self._cutter.finish()
        done = self._submit(chunks)
        if self._deaf:
            raise InputError("The sound ends before the frames do and was not finished; say that no more follows.")
        return done + _outputs(self._executor.finish())

    def close(self) -> None:
        """Stop; what is under way is lost."""
        self._executor.close()

    def _submit(self, chunks: Sequence[Chunk]) -> list[Output]:
        self._deaf.extend(chunks)
        return self._hear()

    def begin_speech(self, time: float, speaker: int = 0) -> Voice:
        """From ``time`` on a speaker says something new: runs that begin from now on hear what is pushed next."""
        self.voices[speaker] = self.voice(time)
        return self.voices[speaker]

    def interrupt(self, shown: int, speaker: int = 0) -> tuple[int, float]:
        """Drop what a speaker says, and all frames, after the end of the chunk that holds frame ``shown``.

        Sound that is pushed next is heard from there on, and the frames after it are those of a session that never
        heard what was dropped. (Where the speech had ended before that, ``begin_speech`` says the next one.)

        Args:
            shown: number (``Output.number``) of the last frame that was shown; -1 for none.
            speaker: who is interrupted.

        Returns:
            number of the first frame that comes (again), and the time in seconds from which new sound is heard.

        Raises:
            ValueError: the session keeps no states that far back.
        """
        finished = _outputs(self._executor.finish())
        again = [chunk for chunk in self._recent if self._firsts[chunk] > shown]
        if len(again) == len(self._recent) and again and self._firsts[again[0]]:
            raise ValueError(f"frame {shown} is out of reach: the session keeps {self._keep:g} s")
        for _ in again:
            rewind(chunk := self._recent.pop())
            self._next = self._firsts.pop(chunk)
        self._deaf.extendleft(reversed(again))
        self._held += [output for output in finished if output.number < self._next]
        voice = self.voices[speaker]
        return self._next, voice.rewind(_end(self._recent[-1]) + NOMINAL if self._recent else voice.start)

    def _hear(self) -> list[Output]:
        """Hand on the chunks whose sound is there, in order."""
        done, self._held = self._held, []
        while self._deaf and all(lane.run.voice.heard(lane.times) for lane in self._deaf[0].lanes):
            chunk = self._deaf.popleft()
            if self._keep:
                self._remember(chunk)
            done += _outputs(self._executor.submit(chunk))
        return done

    def _remember(self, chunk: Chunk) -> None:
        """Keep a chunk and those before it that an interruption may go back to; states of older ones are let go."""
        self._recent.append(chunk)
        self._firsts[chunk] = self._next
        self._next += len(chunk.outputs)
        while len(self._recent) > 1 and _end(self._recent[0]) < _end(chunk) - self._keep:
            del self._firsts[self._recent.popleft()]

    def _new_run(self, time: float, rank: int, speaker: int) -> Run:
        key = NoiseKey(self.seed, frame_at(time), rank)
        return Run.start(self.family, key, self.voices[min(speaker, len(self.voices) - 1)])


def _end(chunk: Chunk) -> float:
    """When its last frame is shown, or its last tick is due where none of its ticks lies at a frame."""
    return chunk.outputs[-1].frame.time if chunk.outputs else chunk.lanes[0].times[-1]


def _outputs(chunks: Sequence[Chunk]) -> list[Output]:
    return [output for chunk in chunks for output in chunk.outputs]
