"""Sound that comes on a pipe as it is spoken: WAV or bare samples, made mono at one rate."""

from __future__ import annotations

import queue
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np
import torch
from torch import Tensor

from ..audio.base import silence_broken
from ..errors import InputError

RATE = 48_000  # what broadcasting takes; a whole multiple of the models' 16 kHz
ENDLESS = 0x7FFF_0000  # a WAV header that promises as much does not know its length, nor does one that promises nothing
PIECE = 8192  # bytes that are read at most at once
WAITING = 64  # pieces that wait at most, then whoever speaks has to
LONGEST_CHUNK = 1 << 20  # bytes of a WAV chunk before the samples


@dataclass(frozen=True)
class SampleFormat:
    """How samples are stored: interleaved and little-endian.

    Attributes:
        rate: per second.
        channels: at least 1.
        bits: of a sample; 8 bits are unsigned.
        floating: IEEE numbers instead of integers.
    """

    rate: int = 16_000
    channels: int = 1
    bits: int = 16
    floating: bool = False

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8

    def decode(self, data: bytes) -> Tensor:
        """Whole sample frames to mono float32 [n]; what is no number is silence."""
        if self.floating:
            samples = np.frombuffer(data, f"<f{self.bits // 8}").astype(np.float32)
        elif self.bits == 8:
            samples = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
        elif self.bits == 24:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            samples = wide.view("<i4")[:, 0].astype(np.float32) / 2**31
        else:
            samples = np.frombuffer(data, f"<i{self.bits // 8}").astype(np.float32) / 2 ** (self.bits - 1)
        return silence_broken(torch.from_numpy(samples).view(-1, self.channels))[0].mean(1)


BARE = SampleFormat()
"""What programs that speak write most often."""


def spoken(stream: BinaryIO, bare: SampleFormat) -> Iterator[tuple[Tensor, int]]:
    """Mono samples [n] and their rate, as they come, until the stream ends.

    A WAV header is recognised wherever a recording starts, so several may follow each other, and its length may be
    unknown, as programs write it that speak into a pipe. Without a header the samples are ``bare``.

    Raises:
        InputError: the header is of another kind of WAV than plain or floating-point samples, or damaged.
    """
    source, tagged = _Bytes(stream), False
    while head := source.ahead(12):
        if _starts_wav(head):
            layout, size = _header(source)
            yield from _samples(source, layout, size)
            tagged = size is not None
        elif tagged and len(head) >= 8:  # other chunks of the recording before: title, author
            source.take(8)
            _skip(source, struct.unpack_from("<I", head, 4)[0])
        else:
            yield from _samples(source, bare, None)


class Resampler:
    """Mono sound from one rate to another, as it comes: a millisecond is held back until more comes or it ends."""

    def __init__(self, rate: int, to_rate: int) -> None:
        self._rate, self._to_rate = rate, to_rate
        self.reset()

    def reset(self) -> None:
        """Forget what is held back."""
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self._to_rate)

    def push(self, samples: Tensor) -> Tensor:
        """Mono float32 [n] at the first rate to [m] at the second."""
        if self._rate == self._to_rate or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(samples.numpy()[None], format="flt", layout="mono")
        frame.sample_rate = self._rate
        return _joined(self._resampler.resample(frame))

    def finish(self) -> Tensor:
        """What was held back; the next push starts anew."""
        rest = _joined(self._resampler.resample(None)) if self._rate != self._to_rate else torch.zeros(0)
        self.reset()
        return rest


class Incoming:
    """Sound of a stream, read by a thread, so that nobody has to wait for it: mono at 48 kHz.

    Args:
        stream: a pipe or file, open for reading bytes.
        bare: what samples without a WAV header are.
    """

    def __init__(self, stream: BinaryIO, bare: SampleFormat = BARE) -> None:
        self._pieces: queue.Queue[Tensor | BaseException | None] = queue.Queue(WAITING)
        self.ended = False
        """No more will come."""
        threading.Thread(target=self._read, args=(stream, bare), daemon=True).start()

    def take(self, wait: bool = False) -> Tensor:
        """What has come, [n] with n = 0 for nothing; ``wait``: at least something, unless it has ended.

        Raises:
            InputError: see ``spoken``.
        """
        taken = [torch.zeros(0)]
        while not self.ended:
            try:
                piece = self._pieces.get(block=wait and len(taken) == 1)
            except queue.Empty:
                break
            self.ended = not isinstance(piece, Tensor)
            if isinstance(piece, BaseException):
                raise piece
            if piece is not None:
                taken.append(piece)
        return torch.cat(taken)

    def _read(self, stream: BinaryIO, bare: SampleFormat) -> None:
        resamplers: dict[int, Resampler] = {}
        try:
            for samples, rate in spoken(stream, bare):
                resampler = resamplers.setdefault(rate, Resampler(rate, RATE))
                self._pieces.put(resampler.push(samples))
            for resampler in resamplers.values():
                self._pieces.put(resampler.finish())
            self._pieces.put(None)
        except BaseException as error:
            self._pieces.put(error)


class _Bytes:
    """A stream of bytes that can be looked at before they are taken."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = getattr(stream, "read1", stream.read)
        self._held = b""

    def ahead(self, count: int) -> bytes:
        """The next ``count`` bytes or more, fewer where the stream ends; they stay."""
        while len(self._held) < count and (more := self._read(PIECE)):
            self._held += more
        return self._held

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer where the stream ends."""
        self.ahead(count)
        taken, self._held = self._held[:count], self._held[count:]
        return taken


def _starts_wav(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def _header(source: _Bytes) -> tuple[SampleFormat, int | None]:
    """Take a WAV header; gives the format and the bytes of samples, None where it does not know."""
    source.take(12)
    found = None
    while len(chunk := source.take(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data" and found is not None:
            return found, size if 0 < size < ENDLESS else None
        if name == b"data" or size > LONGEST_CHUNK:
            break
        content = source.take(size + size % 2)
        if name == b"fmt ":
            found = _format(content)
    raise InputError("The WAV header on the input is damaged; write it again, or send bare samples.")


def _format(content: bytes) -> SampleFormat:
    """From the content of the chunk that describes the samples."""
    if len(content) >= 16:
        kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
        if kind == 0xFFFE and len(content) >= 26:  # the kind stands in what extends the description
            (kind,) = struct.unpack_from("<H", content, 24)
        if (kind, bits) in {(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)} and 0 < channels < 33 and rate:
            return SampleFormat(rate, channels, bits, kind == 3)
    raise InputError("The WAV on the input holds no plain samples; write 16-bit PCM.")


def _samples(source: _Bytes, layout: SampleFormat, size: int | None) -> Iterator[tuple[Tensor, int]]:
    """Samples up to the end of the recording: after ``size`` bytes, or where the next header or the end is."""
    unit = layout.frame_bytes
    while size is None or size >= unit:
        data = source.ahead(12 + unit)  # at least a header's mark behind what is taken
        if size is None:
            start = _next_header(data)
            ends = start >= 0 or len(data) < 12 + unit
            count = start if start >= 0 else len(data) if ends else len(data) - 11
        else:
            count, ends = min(len(data), size), len(data) < unit
        taken = source.take(count // unit * unit)
        if size is not None:
            size -= len(taken)
        if taken:
            yield layout.decode(taken), layout.rate
        if ends:
            source.take(count % unit)
            return
    source.take(size + size % 2)


def _next_header(data: bytes) -> int:
    """Where a recording starts in ``data``; -1 where none does."""
    mark = data.find(b"WAVE", 8)
    while mark >= 0 and not _starts_wav(data[mark - 8 :]):
        mark = data.find(b"WAVE", mark + 1)
    return mark - 8 if mark >= 0 else -1


def _skip(source: _Bytes, count: int) -> None:
    count += count % 2
    while count and (taken := source.take(min(count, PIECE))):
        count -= len(taken)


def _joined(frames: list[av.AudioFrame]) -> Tensor:
    return torch.cat([torch.zeros(0), *(torch.from_numpy(frame.to_ndarray()[0].copy()) for frame in frames)])
