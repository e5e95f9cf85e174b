"""Reading sound: at its own rate for muxing, at 16 kHz mono for features; streaming, so that hours fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import av
import numpy as np
import torch

from ..audio.base import silence_broken
from ..audio.resample import resample
from ..errors import InputError
from ..timeline import SAMPLE_RATE
from .info import decode_video
from .source import Source, audio_stream, name_of, open_media, video_stream

# Sound whose timestamps leave its sample count by more than this is put back in place (lost packets of a recording);
# a minute and more off is a broken timestamp and is ignored.
_DRIFT_SECONDS, _BROKEN_SECONDS = 0.1, 60.0

# Resampling in blocks: each sees this much of its neighbours, far more than the filter is long, so that blocks join
# without a seam. Whole seconds keep every block's first sample on the grid of both rates.
_BLOCK_SECONDS, _CONTEXT_SECONDS = 30, 1


@dataclass(frozen=True, eq=False)
class Audio:
    """Sound in memory: ``waveform`` float32 [channels, samples] in [-1, 1] at ``sample_rate`` Hz.

    Raises:
        InputError: there are no samples.
    """

    waveform: torch.Tensor = field(repr=False)
    sample_rate: int

    def __post_init__(self):
        if self.waveform.ndim != 2:
            raise ValueError(f"waveform must be [channels, samples], got {tuple(self.waveform.shape)}")
        if self.waveform.numel() == 0:
            raise InputError("The audio has no samples; give a recording that is longer than zero seconds.")

    @property
    def channels(self) -> int:
        return self.waveform.shape[0]

    @property
    def seconds(self) -> float:
        return self.waveform.shape[1] / self.sample_rate

    @property
    def bits(self) -> int:
        """Bits per sample that a lossless copy needs; 24 are all that float32 holds."""
        return 24

    def blocks(self) -> Iterator[torch.Tensor]:
        """The waveform in pieces [channels, samples] of at most a second."""
        yield from self.waveform.split(self.sample_rate, dim=1)

    def mono16k(self) -> torch.Tensor:
        """[samples] at 16 kHz, the mean of the channels."""
        return mono_16k(self.blocks(), self.sample_rate)


class AudioSource:
    """The sound of an audio or video file, read when asked for and never held whole.

    Time 0 is the first video frame where the file has video, so that sound which starts late keeps its place (silence
    before it) and sound before the picture is left out; else the first sample.

    ``sample_rate`` in Hz, ``channels`` and ``bits`` per sample (16 or 24) are the file's, ``codec`` FFmpeg's name of
    it. ``origin`` is time 0 in the file's own seconds. ``whole`` tells that nothing of the recording is left out.

    Args:
        source: path, or the file's bytes as BytesIO.
        start, duration: window in seconds; None reads to the end.

    Raises:
        InputError: missing, not a media file, no audio stream, nothing in it that can be decoded.
    """

    def __init__(self, source: Source, start: float = 0.0, duration: float | None = None):
        self.source = source
        self.start, self.duration = start, duration
        self._samples: int | None = None
        with open_media(source) as container:
            stream = audio_stream(container)
            if stream is None:
                video_only = " (only pictures)" if video_stream(container) else ""
                raise InputError(f"{name_of(source)} has no audio stream{video_only}; give a file with sound.")
            first = next(_decoded(container, stream), None)
            if first is None:
                raise InputError(
                    f"The sound of {name_of(source)} is empty or cannot be decoded; "
                    "export it again, for example as WAV."
                )
            self.sample_rate = first.sample_rate
            self.channels = first.layout.nb_channels
            self.bits = 16 if first.format.name.startswith(("u8", "s16")) else 24
            self.codec = stream.codec_context.codec.canonical_name
            begins = float(first.pts * first.time_base) if first.pts is not None else 0.0
            first_picture = _first_picture(source)
            self.origin = begins if first_picture is None else first_picture
            # Packets can be copied when nothing has to be cut off in front; a millisecond is a container's rounding.
            self.whole = start <= 0 and duration is None and begins > self.origin - 0.0015

    @property
    def seconds(self) -> float:
        """Exact length of the window; decodes it once if no complete pass has been made before."""
        if self._samples is None:
            for _ in self.blocks():
                pass
        return self._samples / self.sample_rate

    def blocks(self) -> Iterator[torch.Tensor]:
        """Sound of the window in pieces, float32 [channels, samples] at the file's rate; a new pass each call.

        Raises:
            InputError: no samples at all, or the number of channels or the rate changes on the way.
        """
        first = round(self.start * self.sample_rate)
        end = first + round(self.duration * self.sample_rate) if self.duration is not None else None
        position = kept = 0
        for block in self._placed():
            begin, position = position, position + block.shape[1]
            piece = block[:, max(first - begin, 0) : None if end is None else max(end - begin, 0)]
            if piece.shape[1]:
                kept += piece.shape[1]
                yield piece
            if end is not None and position >= end:
                break
        if position <= first:
            raise InputError(
                f"{name_of(self.source)} has no sound from {self.start:.2f} s on (it lasts "
                f"{position / self.sample_rate:.2f} s); give a longer recording or an earlier start."
            )
        self._samples = kept

    def read(self) -> Audio:
        """All of it in memory."""
        return Audio(torch.cat(list(self.blocks()), dim=1), self.sample_rate)

    def mono16k(self) -> torch.Tensor:
        """[samples] at 16 kHz, the mean of the channels; 230 MB an hour, whatever the file's rate."""
        return mono_16k(self.blocks(), self.sample_rate)

    def _placed(self) -> Iterator[torch.Tensor]:
        """Decoded sound from time 0 on, with the gaps that the timestamps tell of filled with silence."""
        position = 0
        started = False
        with open_media(self.source) as container:
            for frame in _decoded(container, audio_stream(container)):
                samples = self._floats(frame)
                if frame.pts is not None:
                    at = round((float(frame.pts * frame.time_base) - self.origin) * self.sample_rate)
                    gap = at - position
                    misplaced = not started or abs(gap) > _DRIFT_SECONDS * self.sample_rate
                    if misplaced and abs(gap) < _BROKEN_SECONDS * self.sample_rate:
                        if gap > 0:
                            position += gap
                            yield torch.zeros(self.channels, gap)
                        samples = samples[:, max(-gap, 0) :]
                if samples.shape[1]:
                    started = True
                    position += samples.shape[1]
                    yield torch.from_numpy(samples)

    def _floats(self, frame: av.AudioFrame) -> np.ndarray:
        if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.channels):
            raise InputError(
                f"The sound of {name_of(self.source)} changes from {self.channels} channels at {self.sample_rate} Hz "
                f"to {frame.layout.nb_channels} at {frame.sample_rate} Hz on the way; export it again, as WAV."
            )
        return to_float(frame)


def read_audio(source: Source, start: float = 0.0, duration: float | None = None) -> Audio:
    """The sound of an audio or video file at its own rate and channels (an hour of 48 kHz stereo is 1.4 GB)."""
    return AudioSource(source, start, duration).read()


def read_mono16k(source: Source, start: float = 0.0, duration: float | None = None) -> torch.Tensor:
    """The sound of an audio or video file as [samples] at 16 kHz."""
    return AudioSource(source, start, duration).mono16k()


def mono_16k(blocks: Iterable[torch.Tensor], sample_rate: int) -> torch.Tensor:
    """Pieces [channels, samples] -> [samples] at 16 kHz, the same as resampling the whole at once.

    NaN and infinities are silence here, before the resampler's filter spreads them.
    """
    resampled: list[torch.Tensor] = []
    block, context = _BLOCK_SECONDS * sample_rate, _CONTEXT_SECONDS * sample_rate
    held: list[torch.Tensor] = []
    before = length = 0  # samples of the last block kept as context, samples held in all
    for piece in blocks:
        held.append(silence_broken(piece)[0].mean(dim=0))
        length += piece.shape[1]
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
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples / np.float64(-int(np.iinfo(samples.dtype).min))
    return np.ascontiguousarray(samples, dtype=np.float32)


def _first_picture(source: Source) -> float | None:
    """Seconds at which the first video frame is shown, None without video.

    Decoded rather than taken from the header, whose start times FFmpeg guesses in some containers.
    """
    with open_media(source) as container:
        stream = video_stream(container)
        frames = decode_video(container, stream) if stream else iter(())
        first = next((frame for frame in frames if frame is not None), None)
        return float(first.pts * stream.time_base) if first is not None and first.pts is not None else None


def _decoded(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Decoded frames with sound in them; what cannot be decoded is left to the timestamps to bridge."""
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            yield from (frame for frame in frames if frame.samples)
    except av.error.FFmpegError:
        return  # the file ends in the middle of something
