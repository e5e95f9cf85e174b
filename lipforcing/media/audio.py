"""Reading sound: at its own rate for muxing, at 16 kHz mono for features; streaming, so that hours fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import av
import numpy as np
import torch

from ..audio.base import silence_broken
from ..audio.resample import resample
from ..errors import InputError
from ..timeline import SAMPLE_RATE
from .downmix import Listening, usual_layout
from .duration import counted
from .info import decode_video
from .packets import file_times
from .source import Source, audio_stream, name_of, open_media, video_stream
from .timestamps import SoundClock, with_next

# A timestamp of sound further beyond all that the file holds is broken and is ignored.
_BROKEN_SECONDS = 60.0

# Of a frame with as many planes as there is room for in it, or more, PyAV runs past the end of the list and crashes.
_POINTERS = 8

# Resampling in blocks: each sees this much of its neighbours, far more than the filter is long, so that blocks join
# without a seam. Whole seconds keep every block's first sample on the grid of both rates.
_BLOCK_SECONDS, _CONTEXT_SECONDS = 30, 1


class Recording:
    """What sound in memory and sound of a file have in common.

    ``sample_rate`` in Hz; ``layout`` is FFmpeg's name of the speakers that the channels are for and ``speakers`` names
    them one by one ("NONE" where nobody knows); ``name`` is how messages call it.
    """

    sample_rate: int
    layout: str
    speakers: Sequence[str]
    name: str

    def _pieces(self) -> Iterator[torch.Tensor]:
        """Samples as they come, float32 [channels, n]."""
        raise NotImplementedError

    def blocks(self) -> Iterator[torch.Tensor]:
        """The sound in pieces, float32 [channels, samples] at its own rate; silence where samples are no numbers."""
        return (silence_broken(piece)[0] for piece in self._pieces())

    @cached_property
    def listening(self) -> Listening:
        """How it is listened to, after one whole pass."""
        listening = Listening(self.speakers)
        for piece in self._pieces():
            listening.hear(piece)
        return listening

    @property
    def channels(self) -> int:
        return len(self.speakers)

    @property
    def seconds(self) -> float:
        """Exact length."""
        return self.listening.samples / self.sample_rate

    def mono16k(self) -> torch.Tensor:
        """[samples] at 16 kHz, see :class:`~.downmix.Listening`; 230 MB an hour, whatever the rate."""
        return mono_16k(map(self.listening.mix, self.blocks()), self.sample_rate)

    @property
    def notes(self) -> list[str]:
        """What a user should know of it, in sentences."""
        notes = []
        if self.listening.broken:
            notes.append(f"{counted(self.listening.broken, 'sample')} of {self.name} became silence, being no numbers.")
        if self.listening.cancelled:
            notes.append(f"The channels of {self.name} cancel each other; the mouth follows the loudest one.")
        return notes


@dataclass(frozen=True, eq=False)
class Audio(Recording):
    """Sound in memory: ``waveform`` float32 [channels, samples] in [-1, 1] at ``sample_rate`` Hz.

    Raises:
        InputError: there are no samples, or the rate is not positive.
    """

    waveform: torch.Tensor = field(repr=False)
    sample_rate: int

    name = "the audio input"

    def __post_init__(self):
        if self.waveform.ndim != 2:
            raise ValueError(f"waveform must be [channels, samples], got {tuple(self.waveform.shape)}")
        if self.waveform.numel() == 0:
            raise InputError("The audio has no samples; give a recording that is longer than zero seconds.")
        if self.sample_rate <= 0:
            raise InputError(f"The audio's sample rate {self.sample_rate:g} is not positive; give the recording's own.")

    @property
    def layout(self) -> str:
        return usual_layout(self.waveform.shape[0])[0]

    @property
    def speakers(self) -> Sequence[str]:
        return usual_layout(self.waveform.shape[0])[1]

    @property
    def seconds(self) -> float:
        return self.waveform.shape[1] / self.sample_rate

    @property
    def bits(self) -> int:
        """Bits per sample that a lossless copy needs; 24 are all that float32 holds."""
        return 24

    def _pieces(self) -> Iterator[torch.Tensor]:
        """At most a second each."""
        return (piece.float().cpu() for piece in self.waveform.split(self.sample_rate, dim=1))


class AudioSource(Recording):
    """The sound of an audio or video file, read when asked for and never held whole.

    Time 0 is the first video frame where the file has video, so that sound which starts late keeps its place (silence
    before it) and sound before the picture is left out; else the first sample. Where recordings were joined end to end
    the sound goes with the pictures of its own part.

    ``bits`` per sample (16 or 24) are the file's, ``codec`` FFmpeg's name of its codec. ``origin`` is time 0 in the
    file's own seconds. ``whole`` tells that nothing of the recording is left out, ``damaged`` counts the packets of a
    pass that could not be decoded.

    Args:
        source: path, or the file's bytes as BytesIO.
        start, duration: window in seconds; None reads to the end.

    Raises:
        InputError: missing, not a media file, no audio stream, nothing in it that can be decoded.
    """

    def __init__(self, source: Source, start: float = 0.0, duration: float | None = None):
        self.source = source
        self.name = name_of(source)
        self.start, self.duration = start, duration
        self.damaged = 0
        with open_media(source) as container:
            stream = audio_stream(container)
            if stream is None:
                video_only = " (only pictures)" if video_stream(container) else ""
                raise InputError(f"{self.name} has no audio stream{video_only}; give a file with sound.")
            first = next((frame for frame in _decoded(container, stream) if frame is not None), None)
            if first is None:
                raise InputError(
                    f"The sound of {self.name} is empty or cannot be decoded; export it again, for example as WAV."
                )
            self.sample_rate = first.sample_rate
            self.speakers = tuple(channel.name for channel in first.layout.channels)
            self.layout = first.layout.name
            if "NONE" in self.speakers:
                self.layout, self.speakers = usual_layout(len(self.speakers))
            self.bits = 16 if first.format.name.startswith(("u8", "s16")) else 24
            self.codec = stream.codec_context.codec.canonical_name
            begins = float(first.pts * first.time_base) if first.pts is not None else 0.0
        picture, time_base = _first_picture(source)
        self.origin = begins if picture is None else float(picture * time_base)
        self._times = file_times(source, picture)
        # Packets can be copied when nothing has to be cut off in front; a millisecond is a container's rounding.
        self.whole = start <= 0 and duration is None and begins > self.origin - 0.0015

    @property
    def intact(self) -> bool:
        """Whether all packets can be played as they are, one after the other."""
        return not (self.listening.broken or self.damaged or len(self._times.sound_shifts) > 1)

    @property
    def notes(self) -> list[str]:
        notes = super().notes
        if self.damaged:
            notes.append(f"{self.damaged} packets of the sound of {self.name} could not be decoded and became silence.")
        return notes

    def read(self) -> Audio:
        """All of it in memory."""
        return Audio(torch.cat(list(self.blocks()), dim=1), self.sample_rate)

    def _pieces(self) -> Iterator[torch.Tensor]:
        """Sound of the window; a new pass each call.

        Raises:
            InputError: no samples at all, or the number of channels or the rate changes on the way.
        """
        first = round(self.start * self.sample_rate)
        end = first + round(self.duration * self.sample_rate) if self.duration is not None else None
        position = 0
        for block in self._placed():
            begin, position = position, position + block.shape[1]
            piece = block[:, max(first - begin, 0) : None if end is None else max(end - begin, 0)]
            if piece.shape[1]:
                yield piece
            if end is not None and position >= end:
                break
        if position <= first:
            raise InputError(
                f"{self.name} has no sound from {self.start:.2f} s on (it lasts "
                f"{position / self.sample_rate:.2f} s); give a longer recording or an earlier start."
            )

    def _placed(self) -> Iterator[torch.Tensor]:
        """Decoded sound from time 0 on, with the gaps that the timestamps tell of filled with silence."""
        position = 0
        times = self._times
        clock = SoundClock(times.sound_shifts, times.jumps, times.reach + _BROKEN_SECONDS)
        for frame, following in with_next(self._frames()):
            if frame is None:
                clock.lose_place()
                continue
            moved = clock.moved(self._seconds(frame), self._seconds(following), position / self.sample_rate)
            gap = round(moved * self.sample_rate)
            for start in range(0, gap, self.sample_rate):  # by the second: a gap may last for hours
                silence = torch.zeros(self.channels, min(self.sample_rate, gap - start))
                position += silence.shape[1]
                yield silence
            samples = self._floats(frame)[:, max(-gap, 0) :]
            if samples.shape[1]:
                position += samples.shape[1]
                yield samples

    def _seconds(self, frame: av.AudioFrame | None) -> float | None:
        """When a frame is heard, by its own timestamp."""
        return None if frame is None or frame.pts is None else float(frame.pts * frame.time_base) - self.origin

    def _frames(self) -> Iterator[av.AudioFrame | None]:
        damaged = 0
        with open_media(self.source) as container:
            for frame in _decoded(container, audio_stream(container)):
                damaged += frame is None
                self.damaged = max(self.damaged, damaged)
                yield frame

    def _floats(self, frame: av.AudioFrame) -> torch.Tensor:
        if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.channels):
            raise InputError(
                f"The sound of {self.name} changes from {self.channels} channels at {self.sample_rate} Hz "
                f"to {frame.layout.nb_channels} at {frame.sample_rate} Hz on the way; export it again, as WAV."
            )
        return torch.from_numpy(to_float(frame))


def read_audio(source: Source, start: float = 0.0, duration: float | None = None) -> Audio:
    """The sound of an audio or video file at its own rate and channels (an hour of 48 kHz stereo is 1.4 GB)."""
    return AudioSource(source, start, duration).read()


def read_mono16k(source: Source, start: float = 0.0, duration: float | None = None) -> torch.Tensor:
    """The sound of an audio or video file as [samples] at 16 kHz."""
    return AudioSource(source, start, duration).mono16k()


def mono_16k(pieces: Iterable[torch.Tensor], sample_rate: int) -> torch.Tensor:
    """Pieces [samples] of one channel -> [samples] at 16 kHz, the same as resampling the whole at once."""
    resampled: list[torch.Tensor] = []
    block, context = _BLOCK_SECONDS * sample_rate, _CONTEXT_SECONDS * sample_rate
    held: list[torch.Tensor] = []
    before = length = 0  # samples of the last block kept as context, samples held in all
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        while length >= before + block + context:
            joined = torch.cat(held)
            first, end = (at * SAMPLE_RATE // sample_rate for at in (before, before + block))
            resampled.append(resample(joined[None], sample_rate, SAMPLE_RATE)[0, first:end])
            held = [joined[before + block - context :]]
            before, length = context, len(held[0])
    last = resample(torch.cat(held)[None], sample_rate, SAMPLE_RATE)[0]
    return torch.cat([*resampled, last[before * SAMPLE_RATE // sample_rate :]])


def to_float(frame: av.AudioFrame) -> np.ndarray:
    """Decoded frame of any sample format -> float32 [channels, samples] in [-1, 1], exact for up to 24 bits."""
    if frame.format.is_planar and frame.layout.nb_channels >= _POINTERS:
        (frame,) = av.AudioResampler(format=frame.format.packed.name).resample(frame)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples / np.float64(-int(np.iinfo(samples.dtype).min))
    return np.ascontiguousarray(samples, dtype=np.float32)


def _first_picture(source: Source) -> tuple[int | None, Fraction]:
    """Timestamp of the first video frame and the unit that it is in; None without video.

    Decoded rather than taken from the header, whose start times FFmpeg guesses in some containers.
    """
    with open_media(source) as container:
        stream = video_stream(container)
        frames = decode_video(container, stream) if stream else iter(())
        first = next((frame for frame in frames if frame is not None), None)
        return (None, Fraction(1)) if first is None else (first.pts, stream.time_base)


def _decoded(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame | None]:
    """Decoded frames with sound in them; None for what cannot be decoded, which is left to the timestamps to bridge."""
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                yield None
                continue
            yield from (frame for frame in frames if frame.samples)
    except av.error.FFmpegError:
        yield None  # the file ends in the middle of something
