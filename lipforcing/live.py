"""An idle clip that speaks: frames and sound are joined on the clip's own clock and shown as the wall clock says.

What is heard with a frame is decided some time before it is shown: the sound that has come by then, or silence. While
nobody speaks frames pass as they are; a mouth fades in when a speech begins and out when it is over.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import InputError
from .faces.follow import FADE
from .media import Frame
from .media.broadcast import Broadcast
from .media.incoming import RATE, Incoming, Resampler
from .session import LipSyncSession
from .stream.chunk import Output
from .timeline import SAMPLE_RATE

RESERVE = 0.25  # seconds beyond what the models look ahead: for computing a chunk, and for sound that comes unevenly
LATE = 0.1  # seconds of these that sound may come late before silence takes its place
REST = 0.5  # seconds of such silence after which a speech is over
AHEAD = 2.0  # seconds of frames and sound that are decided at most before they are shown
STALLED = 2.0  # seconds behind the clock after which it is set anew instead of caught up with
FACELESS = 10.0  # seconds without a face after which that is said
POLL = 0.005  # seconds between looks at sound, clock and controls


@dataclass(frozen=True)
class LiveReport:
    """What a live run did.

    Attributes:
        frames: shown; ``spoken`` of them with a generated mouth.
        seconds: length of what was shown.
        drift: by how much the sound that was sent is longer, in seconds.
        late: frames that were shown more than a frame's length after their time.
        stalls: how often the clock was set anew because computing could not keep up.
        interruptions: how often a speech was broken off.
        latency: median, 95th percentile and maximum over spoken frames, in seconds from the coming of their sound to
            their being sent; None where nothing was spoken.
    """

    frames: int
    spoken: int
    seconds: float
    drift: float
    late: int
    stalls: int
    interruptions: int
    latency: tuple[float, float, float] | None

    def __str__(self) -> str:
        parts = [f"{self.frames} frames ({self.seconds:.2f} s), {self.spoken} of them spoken"]
        if self.latency is not None:
            parts.append("from sound to picture {:.2f} s (95 % within {:.2f}, at most {:.2f})".format(*self.latency))
        parts.append(f"{self.late} late, {self.stalls} stalls, {self.interruptions} interruptions")
        parts.append(f"sound minus picture {1000 * self.drift:.0f} ms")
        return "; ".join(parts)


class Live:
    """Shows a clip that says what comes in.

    Args:
        session: with ``keep`` of at least ``AHEAD`` seconds where it is to be interrupted.
        frames: of the clip, without end (``media.endless_frames``).
        interval: seconds from frame to frame, on average.
        sound: what is to be said.
        target: where pictures and sound go.
        delay: seconds from the coming of sound to its being heard and seen; by default what the models look ahead and
            ``RESERVE``.
        paced: by the wall clock; else as fast as it goes, and without idling: frames wait for sound.
        keep_idle: go on when the sound has ended.
        tell: called with a sentence that is worth saying.
    """

    def __init__(
        self,
        session: LipSyncSession,
        frames: Iterator[Frame],
        interval: float,
        sound: Incoming,
        target: Broadcast,
        *,
        delay: float | None = None,
        paced: bool = True,
        keep_idle: bool = False,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.delay = session.latency + RESERVE if delay is None else delay
        self._session = session
        self._frames = frames
        self._interval = interval
        self._sound = sound
        self._target = target
        self._paced = paced
        self._keep_idle = keep_idle
        self._tell = tell
        self._frame = next(frames)  # the next one to be decided
        self._start = time.monotonic()  # when time 0 is shown
        self._ready: deque[Output] = deque()
        self._shown, self._shown_until = -1, 0.0
        self._pending = torch.zeros(0)  # sound that belongs to no speech yet
        self._pending_since = 0.0
        self._to_model = Resampler(RATE, SAMPLE_RATE)
        self._track = _Track()
        self._speaking = False
        self._quiet = 0.0  # seconds of silence that took the place of sound, in a row
        self._level = 0.0  # of the fading mouth, 0 to 1
        self._faceless = False
        self._latencies = array("f")
        self._frames_shown = self._spoken = self._late = self._stalls = self._interruptions = 0

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> LiveReport:
        """Show everything until the sound has ended and is said.

        Args:
            interrupted: asked all the time; true for every time that the speech is to be broken off.

        Raises:
            InputError: the sound is of a kind that cannot be read, or none came.
            OSError: nobody watches any more.
        """
        self._start = time.monotonic()
        while not self._over:
            if interrupted():
                self.interrupt()
                self._tell(f"interrupted at {self._shown_until:.2f} s")  # whoever asked may send new sound now
            if not (self._decide() | self._show()):
                time.sleep(POLL)
        self._ready += self._session.finish()
        while self._ready:
            if not self._show():
                time.sleep(POLL)
        if not self._frames_shown:
            raise InputError("No sound came in; pipe a WAV file or bare samples into the standard input.")
        return self.report()

    def interrupt(self) -> None:
        """Break off the speech; what comes from now on is said where it broke off."""
        self._sound.take()
        self._pending = self._pending[:0]
        if self._track.spoken <= self._shown_until:
            return
        first, moment = self._session.interrupt(self._shown)
        self._ready = deque(output for output in self._ready if output.number < first)
        self._track.cut(moment)
        self._to_model.reset()
        self._interruptions += 1
        self._quiet = 0.0
        self._speaking = not self._session.voices[0].finished
        if self._speaking and not self._level:  # it was over, and shall not begin again
            self._end_speech()

    def report(self) -> LiveReport:
        """What was done so far."""
        ordered = sorted(self._latencies)
        latency = tuple(ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95, 1.0)) if ordered else None
        return LiveReport(
            self._frames_shown,
            self._spoken,
            self._shown_until,
            self._target.samples / RATE - self._shown_until,
            self._late,
            self._stalls,
            self._interruptions,
            latency,
        )

    @property
    def _over(self) -> bool:
        return self._idle and self._sound.ended and not len(self._pending) and not self._keep_idle

    @property
    def _idle(self) -> bool:
        """Nobody speaks, and the mouth is the clip's own again."""
        return not self._speaking and not self._level

    @property
    def _now(self) -> float:
        """Time on the clip's clock, in seconds."""
        return time.monotonic() - self._start

    def _decide(self) -> bool:
        """Hand on the next frame with what is heard with it, if it is time to; whether it was."""
        shown_at, end = self._frame.time, self._frame.time + self._interval
        broken_off = self._speaking and self._track.end < shown_at  # frames that were decided need other sound now
        if shown_at > self._shown_until + AHEAD and not broken_off:
            return False
        self._listen(end)
        if self._idle and len(self._pending):
            self._begin_speech(shown_at)
        if self._speaking and self._track.end < end:
            if not self._sound.ended:
                return self._be_quiet()
            self._end_speech()
        if self._idle and not (self._paced and shown_at <= self._now + self.delay):
            return False
        step = self._interval / FADE
        self._level = min(1.0, self._level + step) if self._speaking else max(0.0, self._level - step)
        self._ready += self._session.push_frame(self._frame, (1 - math.cos(math.pi * self._level)) / 2)
        self._frame = next(self._frames)
        self._watch_for_faces(shown_at)
        return True

    def _listen(self, end: float) -> None:
        """Take the sound that has come, or wait for it where nothing else is to be done."""
        if self._track.end > end + AHEAD:
            return
        lacking = not len(self._pending) and (self._idle or (self._speaking and self._track.end < end))
        samples = self._sound.take(wait=lacking and not self._paced)
        if not len(samples):
            return
        if self._speaking:
            self._say(samples, time.monotonic())
        else:
            self._pending_since = self._pending_since if len(self._pending) else time.monotonic()
            self._pending = torch.cat((self._pending, samples))

    def _begin_speech(self, start: float) -> None:
        self._session.begin_speech(start)
        self._track.fill(start)
        self._speaking, self._quiet = True, 0.0
        pending, self._pending = self._pending, self._pending[:0]
        self._say(pending, self._pending_since)

    def _say(self, samples: Tensor, since: float | None) -> None:
        """Go on with the speech: mono [n] at 48 kHz that came at ``since``; None for silence that nobody sent."""
        self._quiet = 0.0 if since is not None else self._quiet + len(samples) / RATE
        self._track.append(samples, since)
        self._ready += self._session.push_audio(self._to_model.push(samples))

    def _be_quiet(self) -> bool:
        """Silence for a frame's length, where sound does not come in time; after some of it the speech is over."""
        if not self._paced or self._track.end > self._now + self.delay - LATE:
            return False
        self._say(torch.zeros(round(self._interval * RATE)), None)
        if self._quiet >= REST and self._track.end >= self._frame.time:
            self._end_speech()
        return True

    def _end_speech(self) -> None:
        self._ready += self._session.push_audio(self._to_model.finish())
        self._ready += self._session.finish_audio()
        self._speaking = False

    def _show(self) -> bool:
        """Send the next finished frame and its sound, if it is time to; whether it was."""
        self._ready += self._session.ready()
        if not self._ready:
            return False
        output = self._ready[0]
        behind = self._now - output.frame.time if self._paced else 0.0
        if behind < 0:
            return False
        if behind > STALLED:
            self._start += behind
            self._stalls += 1
        self._late += behind > self._interval
        self._ready.popleft()
        self._shown, self._shown_until = output.number, output.frame.time + self._interval
        samples, since = self._track.take(self._shown_until)
        self._target.sound(samples)
        self._target.show(output.picture, output.frame.time)
        self._frames_shown += 1
        self._spoken += bool(output.pasted)
        if output.pasted and since is not None:
            self._latencies.append(time.monotonic() - since)
        return True

    def _watch_for_faces(self, shown_at: float) -> None:
        if not self._faceless and shown_at > FACELESS and not self._session.found:
            self._faceless = True
            self._tell(f"No face was found in {FACELESS:.0f} s; the clip passes as it is.")


class _Track:
    """What is heard, from what was sent last on."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[Tensor, float | None]] = deque()  # samples, and when they came
        self._sent = 0
        self.samples = 0
        """End of what is known, in samples at 48 kHz."""
        self.spoken = 0.0
        """End of the last sound that came, in seconds."""

    @property
    def end(self) -> float:
        """End of what is known, in seconds."""
        return (self.samples + 0.5) / RATE  # a frame may end between two samples

    def append(self, samples: Tensor, since: float | None = None) -> None:
        """The next samples [n], which came at ``since``."""
        self._pieces.append((samples, since))
        self.samples += len(samples)
        if since is not None:
            self.spoken = self.samples / RATE

    def fill(self, until: float) -> None:
        """Silence up to a time."""
        if (count := round(until * RATE) - self.samples) > 0:
            self.append(torch.zeros(count))

    def cut(self, until: float) -> None:
        """Forget what lies after a time."""
        self.spoken = min(self.spoken, until)
        while (count := self.samples - round(until * RATE)) > 0 and self._pieces:
            samples, since = self._pieces.pop()
            self.samples -= min(count, len(samples))
            if count < len(samples):
                self._pieces.append((samples[:-count], since))

    def take(self, until: float) -> tuple[Tensor, float | None]:
        """Take what is heard up to a time, silence where nothing is known, and say when its newest part came."""
        self.fill(until)
        left = round(until * RATE) - self._sent
        taken, newest = [torch.zeros(0)], None
        while left > 0:
            samples, since = self._pieces.popleft()
            if len(samples) > left:
                self._pieces.appendleft((samples[left:], since))
            taken.append(samples[:left])
            left -= len(taken[-1])
            self._sent += len(taken[-1])
            newest = since if since is not None else newest
        return torch.cat(taken), newest
