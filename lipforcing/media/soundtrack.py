"""The sound of a video that is being written, fed in step with the pictures so that neither waits in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import Protocol

import av
import numpy as np
import torch

from .audio import Audio, AudioSource
from .downmix import usual_layout
from .source import Source, audio_stream, open_media

# Codecs whose packets may be put into a container unchanged. In MP4 and MOV only what players and browsers play
# everywhere, unless bits matter more.
_PLAYABLE = frozenset({"aac", "mp3"})
_EXACT = _PLAYABLE | {"alac", "ac3", "eac3"}
_MATROSKA = _EXACT | {"flac", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "dts", "truehd"}

# What the AAC encoder accepts; other rates become 48 kHz.
_AAC_RATES = frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350})

# Layouts that a codec has a name for, from the smallest to the largest. AAC can describe others, but few players read
# the description; FLAC takes all.
_LAYOUTS = {
    "aac": ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"),
    "alac": ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1(back)", "7.1(wide)"),
    "flac": ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"),
}

# Packets that a container is tried with before its muxer is trusted to take a stream.
_TRIED = 3


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

    Copying needs a codec that suits the container and a muxer that takes it, the whole recording (no window) without
    damage, and no silence to append. A copy that has to end early ends with the packet that is playing then (some 20 ms
    in AAC).
    """
    matroska = container.format.name == "matroska"
    takes = _MATROSKA if matroska else _EXACT if lossless else _PLAYABLE
    if (
        isinstance(audio, AudioSource)
        and (audio.whole and audio.intact and not pad and audio.codec in takes)
        and _keeps_speakers(matroska, audio)
        and _is_taken(audio.source, container.format.name)
    ):
        return CopiedSoundtrack(container, audio)
    return EncodedSoundtrack(container, audio, _codec(container, audio) if lossless else "aac", pad)


def _keeps_speakers(matroska: bool, audio: AudioSource) -> bool:
    """Matroska knows the speakers of raw samples by their number alone."""
    return not (matroska and audio.codec.startswith("pcm_")) or audio.layout == usual_layout(audio.channels)[0]


def _codec(container: av.container.OutputContainer, audio: Audio | AudioSource) -> str:
    """A lossless codec that the container holds and that has all speakers."""
    if container.format.name == "matroska":
        return "flac"
    layout = layout_for("alac", audio.layout, audio.speakers)
    if len(av.AudioLayout(layout).channels) >= audio.channels or "NONE" in audio.speakers:
        return "alac"
    return "flac" if container.format.name == "mp4" else "pcm_s24le"


def _is_taken(source: Source, kind: str) -> bool:
    """Whether the muxer of a kind of container takes a file's sound as it is: MP4 refuses MP3 below 16 kHz, say."""
    with open_media(source) as file:
        sound = audio_stream(file)
        try:
            with av.open(io.BytesIO(), "w", format=kind) as trial:
                stream = trial.add_stream_from_template(sound)
                for packet in islice((packet for packet in file.demux(sound) if packet.size), _TRIED):
                    packet.stream = stream
                    trial.mux(packet)
        except (av.error.FFmpegError, ValueError):
            return False
    return True


def layout_for(codec: str, layout: str, speakers: Sequence[str]) -> str:
    """The layout that a codec gets sound in: the sound's own, or the smallest that has most of its speakers.

    libswresample mixes the speakers that are missing into the others, but for that of effects, which it drops. Those
    that nobody can name are mixed to one channel beforehand, by the mean.
    """
    if "NONE" in speakers:
        return "mono"
    known = _LAYOUTS.get(codec)
    if known is None or layout in known or (codec == "flac" and len(speakers) <= len(known)):
        return layout
    wanted = {_place(name) for name in speakers}
    places = {name: {_place(channel.name) for channel in av.AudioLayout(name).channels} for name in known}

    def loss(name: str) -> tuple:
        missing = wanted - places[name]
        return "LFE" in missing, len(missing), len(places[name])

    return min(known, key=loss)


def _place(speaker: str) -> str:
    """Where a speaker stands; those at the sides count as behind."""
    return {"SL": "BL", "SR": "BR"}.get(speaker, speaker)


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
    """Sound encoded at its own rate and for its own speakers (:func:`layout_for`): AAC of at least 192 kbit/s, or a
    lossless codec.
    """

    def __init__(self, container: av.container.OutputContainer, audio: Audio | AudioSource, codec: str, pad: bool):
        self._output = container
        self._audio = audio
        self._pad = pad
        self._mixed = "NONE" in audio.speakers
        self._layout = "mono" if self._mixed else audio.layout
        rate = audio.sample_rate if codec != "aac" or audio.sample_rate in _AAC_RATES else 48_000
        layout = layout_for(codec, audio.layout, audio.speakers)
        self._stream = container.add_stream(codec, rate=rate, layout=layout)
        if codec == "aac":
            self._stream.bit_rate = 192_000 if self._mixed else max(192_000, 128_000 * audio.channels)
        elif codec != "pcm_s24le":
            self._stream.format = f"s{16 if audio.bits == 16 else 32}{'p' if codec == 'alac' else ''}"
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
        # Packed: PyAV gets frames of eight and more planes wrong.
        packed = np.ascontiguousarray(samples.T.numpy()).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = self._audio.sample_rate
        frame.time_base = Fraction(1, self._audio.sample_rate)
        frame.pts = self._written
        self._written += samples.shape[1]
        self._output.mux(self._stream.encode(frame))
