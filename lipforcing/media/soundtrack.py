"""The sound of a video that is being written, fed in step with the pictures so that neither waits in memory."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
import torch

from .audio import Audio, AudioSource
from .source import audio_stream, open_media

# Codecs whose packets may be put into a container unchanged. In MP4 and MOV only what players and browsers play
# everywhere, unless bits matter more.
_PLAYABLE = frozenset({"aac", "mp3"})
_EXACT = _PLAYABLE | {"alac", "ac3", "eac3"}
_MATROSKA = _EXACT | {"flac", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "dts", "truehd"}

# What the AAC encoder accepts; other rates become 48 kHz.
_AAC_RATES = frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350})
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}


class Soundtrack(Protocol):
    """An audio stream of an open output container."""

    def write_until(self, seconds: float) -> None:
        """Write sound up to a time that the pictures have reached."""

    def finish(self, seconds: float) -> None:
        """Write the rest up to the end of the pictures."""

    def close(self) -> None:
        """Let go of the source."""


def add_soundtrack(
    container: av.container.OutputContainer, audio: Audio | AudioSource, pad: bool, lossless: bool
) -> Soundtrack:
    """Add the sound to a container that has no packets yet: its packets as they are where possible, else encoded.

    Copying needs a codec that suits the container, the whole recording (no window), and no silence to append.
    A copy that has to end early ends with the packet that is playing then (some 20 ms in AAC).
    """
    matroska = container.format.name == "matroska"
    takes = _MATROSKA if matroska else _EXACT if lossless else _PLAYABLE
    if isinstance(audio, AudioSource) and audio.whole and not pad and audio.codec in takes:
        return CopiedSoundtrack(container, audio)
    codec = ("flac" if matroska else "alac") if lossless else "aac"
    return EncodedSoundtrack(container, audio, codec, pad)


class CopiedSoundtrack:
    """Packets of the source, moved in time so that the source's time 0 is the first picture.

    The packets that prime a decoder (AAC, MP3) then lie before 0, where containers keep them unheard.
    """

    def __init__(self, container: av.container.OutputContainer, audio: AudioSource):
        self._output = container
        self._input = open_media(audio.source)
        source = audio_stream(self._input)
        self._stream = container.add_stream_from_template(source)
        self._offset = round(audio.origin / source.time_base)
        self._packets = self._shifted(source)
        self._next = next(self._packets, None)

    def write_until(self, seconds: float) -> None:
        while self._next is not None and float(self._next.pts * self._next.time_base) < seconds:
            packet, self._next = self._next, next(self._packets, None)
            self._output.mux(packet)

    def finish(self, seconds: float) -> None:
        self.write_until(seconds)

    def close(self) -> None:
        self._input.close()

    def _shifted(self, source: av.AudioStream) -> Iterator[av.Packet]:
        for packet in self._input.demux(source):
            at = packet.pts if packet.pts is not None else packet.dts
            if at is None:
                continue  # the mark at the end of the stream
            packet.pts = packet.dts = at - self._offset
            packet.stream = self._stream
            yield packet


class EncodedSoundtrack:
    """Sound encoded at its own rate and channels: AAC of at least 192 kbit/s, or a lossless codec.

    Channel counts that have no usual speaker layout (7, more than 8) are mixed to one channel.
    """

    def __init__(self, container: av.container.OutputContainer, audio: Audio | AudioSource, codec: str, pad: bool):
        self._output = container
        self._audio = audio
        self._pad = pad
        self._mixed = audio.channels not in _LAYOUTS
        self._channels = 1 if self._mixed else audio.channels
        self._layout = _LAYOUTS[self._channels]
        rate = audio.sample_rate if codec != "aac" or audio.sample_rate in _AAC_RATES else 48_000
        self._stream = container.add_stream(codec, rate=rate, layout=self._layout)
        if codec == "aac":
            self._stream.bit_rate = max(192_000, 128_000 * self._channels)
        elif audio.bits == 16:
            self._stream.format = {"alac": "s16p", "flac": "s16"}[codec]
        else:
            self._stream.format = {"alac": "s32p", "flac": "s32"}[codec]
        self._blocks = audio.blocks()
        self._held: torch.Tensor | None = None
        self._written = 0

    def write_until(self, seconds: float) -> None:
        end = round(seconds * self._audio.sample_rate)
        while self._written < end:
            if self._held is None:
                self._held = next(self._blocks, None)
            if self._held is None:
                return
            piece, rest = self._held.tensor_split([end - self._written], dim=1)
            self._held = rest if rest.shape[1] else None
            self._encode(piece)

    def finish(self, seconds: float) -> None:
        self.write_until(seconds)
        end = round(seconds * self._audio.sample_rate)
        while self._pad and self._written < end:
            samples = min(end - self._written, self._audio.sample_rate)
            self._encode(torch.zeros(self._audio.channels, samples))
        self._output.mux(self._stream.encode(None))

    def close(self) -> None:
        """Stop reading the source."""
        self._blocks.close()

    def _encode(self, samples: torch.Tensor) -> None:
        if self._mixed:
            samples = samples.mean(dim=0, keepdim=True)
        array = np.ascontiguousarray(samples.float().cpu().numpy())
        frame = av.AudioFrame.from_ndarray(array, format="fltp", layout=self._layout)
        frame.sample_rate = self._audio.sample_rate
        frame.time_base = Fraction(1, self._audio.sample_rate)
        frame.pts = self._written
        self._written += array.shape[1]
        self._output.mux(self._stream.encode(frame))
