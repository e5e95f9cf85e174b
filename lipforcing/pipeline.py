"""From files to a file: a session that is fed by a reader and drained by a writer.

Nothing that is held grows with the length of the clip but the packed speech, a few hundred bytes per second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from .audio.base import LONG, AudioEncoder
from .audio.manner import PLAIN, Manner, rest_row, speaking
from .errors import NoFaceError
from .faces.follow import FixedFollower, Follower
from .media import (
    AudioSource,
    CodecChoice,
    DurationPolicy,
    Frame,
    ImagePicture,
    MemoryReader,
    Picture,
    Plan,
    Recording,
    VideoReader,
    VideoWriter,
    changed_outside,
    check_output,
    counted,
    extended_frames,
)
from .session import NO_FACE, LipSyncSession
from .stream.chunk import Chunk, Output
from .stream.family import Family
from .stream.meter import Meter, StageTimes
from .stream.stages import Check, go_on
from .stream.voice import Voice
from .timeline import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, frames_for_samples, samples_for_frames

RANGES = 4  # that are told one by one
PIECE = 60 * SAMPLE_RATE  # samples that are encoded at a time, where an encoder does not want them all

Progress = Callable[[int, int, Picture], None]
"""Called with frames done, frames planned, and a finished picture."""


@dataclass(frozen=True)
class SyncOptions:
    """Choices of a run.

    Attributes:
        seed: of the noise; equal seeds give equal frames.
        duration: what decides the output's length, and what fills it.
        lossless: write a file that decodes to exactly the finished samples.
        quality: of lossy video, see ``VideoWriter``; None is hardly to be told from the source.
        video_codec: see ``VideoWriter``.
        overlapped: run the stages on threads of their own; equal frames, sooner.
        streams: on a CUDA device, also on streams of their own.
        manner: how the speech moves the mouth: in pauses, and how strongly.
        keep_partial: keep what is finished when the run is cancelled or fails half way, see ``VideoWriter``.
        audit: count the samples that changed outside of the generated mouths (``SyncResult.changed_outside``).
        check: see ``LipSyncSession``.
    """

    seed: int = 42
    duration: DurationPolicy = field(default_factory=DurationPolicy)
    lossless: bool = False
    quality: float | None = None
    video_codec: CodecChoice = "auto"
    overlapped: bool = True
    streams: bool = True
    manner: Manner = PLAIN
    keep_partial: bool = False
    audit: bool = False
    check: Check = go_on


DEFAULT_OPTIONS = SyncOptions()


@dataclass(frozen=True)
class Passed:
    """Successive frames that were passed on as they are.

    Attributes:
        start, end: in seconds.
        frames: how many.
        reason: in a few words.
    """

    start: float
    end: float
    frames: int
    reason: str


@dataclass(frozen=True)
class SyncResult:
    """What a run did.

    Attributes:
        path: the file written.
        plan: length policy as it was applied.
        frames: frames written.
        passed: those of them that were passed on as they are.
        length: seconds that the file lasts.
        changed_outside: samples that differ from the decoded source's outside of the rectangles that mouths were laid
            over, before the encoder; None where the options did not ask for it.
        damaged: packets of the source video that could not be decoded whole; frames in them are missing or damaged.
        notes: what else a user should know, in sentences.
        seconds: wall time of the run, encoding of the speech included.
        first_frame_seconds: wall time until the first frame was written.
        stages: where the time went; stages may overlap.
    """

    path: Path
    plan: Plan
    frames: int
    passed: tuple[Passed, ...]
    length: float
    changed_outside: int | None
    damaged: int
    notes: tuple[str, ...]
    seconds: float
    first_frame_seconds: float
    stages: dict[str, StageTimes]

    @property
    def fps(self) -> float:
        """Finished frames per second of wall time."""
        return self.frames / self.seconds

    @property
    def untouched(self) -> int:
        """Frames that were passed on as they are."""
        return sum(part.frames for part in self.passed)

    @property
    def description(self) -> str:
        """What was written and what was lost, in sentences."""
        said = [f"{counted(self.frames)} written, {self.length:.2f} s."]
        if self.passed:
            ranges = [f"{part.start:.2f} to {part.end:.2f} s ({part.reason})" for part in self.passed[:RANGES]]
            more = len(self.passed) - RANGES
            ranges += [f"and {more} more ranges"] * (more > 0)
            said.append(f"{self.untouched} of them are the source's own: {', '.join(ranges)}.")
        if self.damaged:
            said.append(
                f"{counted(self.damaged, 'packet')} of the video could not be decoded whole; frames are missing or "
                "damaged."
            )
        return " ".join((*said, *self.notes))


def sync_file(
    family: Family,
    video: VideoReader | MemoryReader,
    audio: Recording,
    out: str | Path,
    follower: Follower,
    options: SyncOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
    said: Sequence[Recording] = (),
) -> SyncResult:
    """Lip-synchronise a video to speech and write the result.

    Size, frame rate and timestamps are the source's; every sample outside the blended mouth is the decoded source's;
    the audio is muxed at full quality. Length and filling follow ``options.duration``. The output appears under its
    name only when complete.

    Args:
        family: see ``Family``.
        video: whose mouths are made anew.
        audio: what is heard.
        out: path of the result.
        follower: finds the faces.
        options: see ``SyncOptions``.
        progress: called after every written frame, in a thread of its own where stages overlap; an exception raised
            there cancels the run and removes what was written.
        said: what is said by each of those whom the follower follows, in its order; by default ``audio``, by one.

    Raises:
        InputError: the output cannot be written.
        NoFaceError: no frame shows a face.
    """
    said = said or (audio,)
    check_output(out, [video.source, *(one.source for one in (audio, *said) if isinstance(one, AudioSource))])
    plan = planned(video, audio, options.duration)
    began = time.monotonic()
    first: list[float] = []
    done, last, changed = 0, 0.0, 0
    passed = _Ranges(float(1 / video.info.frame_rate))
    with VideoWriter.like(
        out,
        video.info,
        audio=audio,
        pad_audio=plan.silence > 0,
        lossless=options.lossless,
        quality=options.quality,
        codec=options.video_codec,
        keep_partial=options.keep_partial,
    ) as writer:

        def write(chunk: Chunk) -> None:
            nonlocal done, last, changed
            for output in chunk.outputs:
                if options.audit:
                    changed += changed_outside(output.frame.picture, output.picture, output.pasted)
                writer.write(output.picture, output.frame.time)
                last = output.frame.time
                done += 1
                if not output.pasted:
                    passed.add(output)
                if not first:
                    first.append(time.monotonic() - began)
                if progress is not None:
                    progress(done, plan.frames, output.picture)
                output.picture = None

        meter = Meter(family.device)
        voices = [planned_voice(family, recording, plan, meter, options.manner) for recording in said]
        with LipSyncSession(
            family,
            follower,
            voices,
            seed=options.seed,
            overlapped=options.overlapped,
            streams=options.streams,
            write=write,
            meter=meter,
            check=options.check,
        ) as session:
            for frame in read(extended_frames(video, plan), meter):
                session.push_frame(frame)
            session.finish()
        if not session.found:
            writer.discard()
            raise NoFaceError(NO_FACE.format(video.source))
        writer.close(plan.seconds if plan.end is None else max(plan.end, last + 1 / video.info.frame_rate))
    return SyncResult(
        path=Path(out),
        plan=plan,
        frames=done,
        passed=tuple(passed.ranges),
        length=writer.seconds,
        changed_outside=changed if options.audit else None,
        damaged=video.damaged_packets,
        notes=tuple(audio.notes),
        seconds=time.monotonic() - began,
        first_frame_seconds=first[0],
        stages=meter.times(),
    )


class _Ranges:
    """Collects the ranges of frames that are passed on; ``interval`` is how long a frame is shown, in seconds."""

    def __init__(self, interval: float) -> None:
        self.ranges: list[Passed] = []
        self._interval = interval
        self._next = 0

    def add(self, output: Output) -> None:
        """The next frame that was passed on."""
        time, reason = output.frame.time, _reason(output)
        last = self.ranges[-1] if self.ranges else None
        if last is not None and output.number == self._next and reason == last.reason:
            self.ranges[-1] = replace(last, end=time + self._interval, frames=last.frames + 1)
        else:
            self.ranges.append(Passed(time, time + self._interval, 1, reason))
        self._next = output.number + 1


def _reason(output: Output) -> str:
    """Why an output is the source's own."""
    if not output.places:
        return output.absence
    silent = all(run.voice.opacity(place.frame.time) == 0 for run, place in output.places.items())
    return "pause" if silent else "face outside the picture"


def planned(video: VideoReader | MemoryReader, audio: Recording, policy: DurationPolicy) -> Plan:
    """What the result of a run will consist of."""
    info = video.info
    return policy.plan(audio.seconds, info.frame_rate, info.duration, info.frame_count)


def planned_voice(family: Family, audio: Recording, plan: Plan, meter: Meter, manner: Manner = PLAIN) -> Voice:
    """What a planned output shows of a recording, encoded and packed; see ``planned_rows``."""
    with meter.stage("hear"):
        rest = rest_row(family.audio) if manner.rests else None
        voice = Voice(None, family.student, family.text, manner=manner, rest=rest)
        waveform = audio.mono16k()
        for rows in planned_rows(family.audio, waveform, plan):
            voice.push_rows(rows)
        if manner.listens:
            frames = clock_length(plan)
            voice.push_activity(speaking(waveform[: samples_for_frames(frames)], frames))
    voice.finish_rows()
    return voice


def planned_rows(encoder: AudioEncoder, waveform: Tensor, plan: Plan) -> Iterator[Tensor]:
    """Rows [k, feature_dim] of what a planned output shows of a recording (mono [samples] at 16 kHz), piece by piece.

    Sound beyond the output is not encoded. An output that outlasts the sound, because it follows the video or another
    speaker, hears silence after it. Recordings longer than the encoder can hold at once go through it in windows.
    """
    frames = clock_length(plan)
    outlasts = plan.end is None or len(waveform) + SAMPLES_PER_FRAME < plan.audio_used * SAMPLE_RATE
    stream = (encoder if plan.audio_used <= encoder.max_seconds else encoder.windowed(LONG)).stream()
    for piece in waveform[: samples_for_frames(frames)].split(PIECE):
        yield stream.push(piece)
    yield stream.finish(frames if outlasts else 0)


def clock_length(plan: Plan) -> int:
    """An upper bound of the number of clock frames of a planned output."""
    return frames_for_samples(int(plan.seconds * SAMPLE_RATE) + 1) + 1


def sync_crops(
    family: Family, crops: Tensor, waveform: Tensor, seed: int = 42, manner: Manner = PLAIN
) -> tuple[Tensor, Tensor]:
    """Lip-synchronise face crops in memory, 25 per second.

    Args:
        family: see ``Family``.
        crops: [T, 3, S, S] in [-1, 1], S of any size.
        waveform: what is said, mono [samples] in [-1, 1] at 16 kHz.
        seed: of the noise.
        manner: how the speech moves the mouth; the source's own mouth in pauses is a matter of pasting.

    Returns:
        faces [T, 3, S, S] in [-1, 1], S the family's, and latents [1, 16, t, S / 8, S / 8] of whole chunks.
    """
    faces, latents = [], []
    voice = Voice(family.audio, family.student, family.text, manner=manner)
    voice.push(waveform[: samples_for_frames(len(crops))])
    voice.finish(len(crops))

    def collect(chunk: Chunk) -> None:
        for lane in chunk.lanes:
            faces.append(lane.faces[: chunk.ticks])
            latents.append(lane.latents)

    with LipSyncSession(family, FixedFollower(), [voice], seed=seed, paste=False, write=collect) as session:
        for number, crop in enumerate(crops):
            picture = ImagePicture(crop.permute(1, 2, 0).float().add(1).div(2).cpu())
            session.push_frame(Frame(picture, number / FPS, number, number))
        session.finish()
    return torch.cat(faces), torch.cat(latents, dim=2)


def read(frames: Iterator[Frame], meter: Meter) -> Iterator[Frame]:
    """Frames, the time that they take counted as a stage."""
    while True:
        with meter.stage("read"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame
