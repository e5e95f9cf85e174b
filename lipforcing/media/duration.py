"""How long the output is, and what fills it when video and audio differ in length."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

Length = Literal["audio", "video", "silence"]
Fill = Literal["pingpong", "loop", "hold"]

# In frames. Lengths come from sums of rounded numbers; a frame that would show for a millionth of its time is none.
TOLERANCE = 1e-6

_FILL_WORDS = {
    "pingpong": "played back and forth",
    "loop": "repeated from its start",
    "hold": "held at its last frame",
}


def counted(number: int, noun: str = "frame") -> str:
    """A number of things in words: 1 frame, 2 frames."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def frames_before(seconds: float, frame_rate: Fraction | float) -> int:
    """Number of frames whose start time lies before ``seconds``: all that are seen, at least one."""
    return max(1, ceil(seconds * float(frame_rate) - TOLERANCE))


@dataclass(frozen=True)
class Plan:
    """What the output will consist of. Counts are exact where all frames can be decoded and, for an output that follows
    the audio, come at a constant rate; else estimates.

    ``end``: seconds from which on no frame starts any more; None is the end of the source video.
    ``frames``, ``seconds``: length of the output. ``source_frames``: how many different source frames it shows, of
    ``available_frames``. ``fill``: what makes up for missing video, if any is missing. ``repetitions``: the output's
    length in lengths of the source video.
    ``audio_used``, ``audio_cut``, ``silence``: seconds of sound used, left out, and appended.
    """

    end: float | None
    frames: int
    seconds: float
    frame_rate: Fraction
    source_frames: int
    available_frames: int
    fill: Fill
    repetitions: float
    audio_used: float
    audio_cut: float
    silence: float

    @property
    def description(self) -> str:
        """One sentence for the user."""
        parts = [f"{counted(self.frames)} ({self.seconds:.2f} s at {float(self.frame_rate):g} fps)"]
        missing = self.frames - self.available_frames
        if missing > 0:
            parts.append(
                f"the video is {counted(missing)} shorter than the audio and is {_FILL_WORDS[self.fill]} "
                f"({self.repetitions:.1f} times its length)"
            )
        elif missing < 0:
            parts.append(f"the video's end, {counted(-missing)}, is left out, for the audio ends before it")
        else:
            parts.append("every video frame is used once")
        if self.audio_cut > 0:
            parts.append(f"the last {self.audio_cut:.2f} s of the audio are left out, the video ends before them")
        elif self.silence > 0:
            parts.append(f"{self.silence:.2f} s of silence follow the audio")
        else:
            parts.append("all of the audio is used")
        return "; ".join(parts) + "."


@dataclass(frozen=True)
class DurationPolicy:
    """What decides the output's length, and how missing video is made up for.

    ``length``: "audio" - the output lasts as long as the audio: longer video is cut, shorter video filled.
    "video" - the output is every frame of the video: longer audio is cut, shorter audio followed by silence.
    "silence" - nothing of either is left out: shorter audio is followed by silence, in which the mouth rests, as with
    "video"; shorter video is filled, as with "audio".
    ``fill``: "pingpong" - 0..n-1, n-2..1, 0..: the end frames are not doubled; "loop" - from the start again;
    "hold" - the last frame stays.
    """

    length: Length = "audio"
    fill: Fill = "pingpong"

    def __post_init__(self):
        if self.length not in ("audio", "video", "silence"):
            raise ValueError(f"length must be 'audio', 'video' or 'silence', got {self.length!r}")
        if self.fill not in _FILL_WORDS:
            raise ValueError(f"fill must be 'pingpong', 'loop' or 'hold', got {self.fill!r}")

    def plan(
        self,
        audio_seconds: float,
        frame_rate: Fraction,
        video_seconds: float,
        video_frames: int | None = None,
    ) -> Plan:
        """Apply the policy. ``video_frames`` None: as many as ``video_seconds`` hold."""
        available = video_frames or max(1, round(video_seconds * frame_rate))
        longer = audio_seconds * float(frame_rate) > video_seconds * float(frame_rate) + TOLERANCE
        follow_audio = self.length == "audio" or (self.length == "silence" and longer)
        frames = frames_before(audio_seconds, frame_rate) if follow_audio else available
        seconds = float(frames / Fraction(frame_rate)) if follow_audio else video_seconds
        used = min(audio_seconds, seconds)
        return Plan(
            end=audio_seconds if follow_audio else None,
            frames=frames,
            seconds=seconds,
            frame_rate=Fraction(frame_rate),
            source_frames=min(frames, available),
            available_frames=available,
            fill=self.fill,
            repetitions=frames / available,
            audio_used=used,
            audio_cut=audio_seconds - used,
            # The last frame of an output that follows the audio outlasts it by less than its own length.
            silence=0.0 if follow_audio else seconds - used,
        )
