"""Sound on a pipe: the same samples however they are packed and in whatever pieces they come."""

from __future__ import annotations

import io
import os
import struct
import wave

import numpy as np
import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.media.incoming import BARE, RATE, Incoming, Resampler, SampleFormat, spoken

SAMPLES = (np.sin(np.arange(1000) / 7) * 20_000).astype("<i2")


class Dripping(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size = data, size

    def read(self, _=-1) -> bytes:
        taken, self.data = self.data[: self.size], self.data[self.size :]
        return taken


def wav(content: bytes, *, kind=1, channels=1, rate=16_000, bits=16, promised=None, before=b"", after=b"") -> bytes:
    block = channels * bits // 8
    layout = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    size = len(content) if promised is None else promised
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", 16) + layout + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + body + content + after


def heard(data: bytes, size: int = 4096, bare: SampleFormat = BARE) -> tuple[torch.Tensor, set[int]]:
    pieces = list(spoken(Dripping(data, size), bare))
    return torch.cat([torch.zeros(0), *(samples for samples, _ in pieces)]), {rate for _, rate in pieces}


PACKINGS = {
    "bare": SAMPLES.tobytes(),
    "wav": wav(SAMPLES.tobytes()),
    "length unknown": wav(SAMPLES.tobytes(), promised=0xFFFFFFFF),
    "as espeak-ng writes it": wav(SAMPLES.tobytes(), promised=0x7FFFF000),
    "length 0": wav(SAMPLES.tobytes(), promised=0),
    "with a title": wav(SAMPLES.tobytes(), before=b"LIST" + struct.pack("<I", 3) + b"abc\0"),
    "with a title behind": wav(SAMPLES.tobytes(), after=b"LIST" + struct.pack("<I", 3) + b"abc\0"),
    "two": wav(SAMPLES[:300].tobytes()) + wav(SAMPLES[300:].tobytes()),
    "two of unknown length": wav(SAMPLES[:300].tobytes(), promised=0) + wav(SAMPLES[300:].tobytes(), promised=0),
    "32 bits": wav((SAMPLES.astype("<i4") << 16).tobytes(), bits=32),
    "24 bits": wav(b"".join(b"\0" + sample.tobytes() for sample in SAMPLES), bits=24),
    "floating": wav((SAMPLES / 32768).astype("<f4").tobytes(), kind=3, bits=32),
    "stereo": wav(SAMPLES.repeat(2).tobytes(), channels=2),
    "cut off": wav(SAMPLES.tobytes() + b"\1", promised=5000),
}


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
@pytest.mark.parametrize("packing", PACKINGS)
def test_samples_are_those_that_were_packed(packing, size):
    samples, rates = heard(PACKINGS[packing], size)
    assert rates == {16_000} and torch.allclose(samples, torch.from_numpy(SAMPLES / 32768).float(), atol=1e-6)


def test_a_bare_stream_is_what_it_is_said_to_be():
    samples, rates = heard(SAMPLES.tobytes(), bare=SampleFormat(44_100, 2))
    pairs = torch.from_numpy(SAMPLES.reshape(-1, 2) / 32768).float().mean(1)
    assert rates == {44_100} and torch.allclose(samples, pairs, atol=1e-6)


def test_eight_bits_are_unsigned():
    samples, _ = heard(wav(bytes([0, 128, 255]), bits=8))
    assert samples.tolist() == [-1.0, 0.0, 127 / 128]


def test_what_is_no_number_is_silence():
    samples, _ = heard(wav(np.array([0.5, np.nan, np.inf, -0.5], "<f4").tobytes(), kind=3, bits=32))
    assert samples.tolist() == [0.5, 0.0, 0.0, -0.5]


def test_the_standard_library_writes_what_is_read():
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, 22_050, 0, "NONE", ""))
        file.writeframes(SAMPLES.tobytes())
    samples, rates = heard(written.getvalue())
    assert rates == {22_050} and len(samples) == len(SAMPLES)


@pytest.mark.parametrize(
    "data, says",
    [
        (wav(b"abcd", kind=7, bits=8), "holds no plain samples"),
        (wav(b"")[:12], "damaged"),
        (wav(b"").replace(b"fmt ", b"what"), "damaged"),
    ],
)
def test_another_kind_of_wav_is_one_sentence(data, says):
    with pytest.raises(InputError, match=says):
        heard(data)
    incoming = Incoming(io.BytesIO(data))
    with pytest.raises(InputError, match=says):
        incoming.take(wait=True)
    assert incoming.ended


def test_nothing_has_to_wait_for_a_pipe():
    reading, writing = os.pipe()
    incoming = Incoming(os.fdopen(reading, "rb"), SampleFormat(48_000))
    assert not len(incoming.take()) and not incoming.ended
    os.write(writing, SAMPLES[:500].tobytes())
    first = incoming.take(wait=True)
    assert 0 < len(first) <= 500
    os.write(writing, SAMPLES[500:].tobytes())
    os.close(writing)
    rest = []
    while not incoming.ended:
        rest.append(incoming.take(wait=True))
    assert torch.allclose(torch.cat([first, *rest]), torch.from_numpy(SAMPLES / 32768).float())


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 96_000])
def test_resampled_sound_keeps_its_time(rate):
    """A chirp at another rate is where it was, in whatever pieces it comes."""
    phase = lambda rate: torch.arange(rate) / rate * 2 * torch.pi  # noqa: E731
    chirp = lambda rate: torch.sin(300 * phase(rate) + 100 * phase(rate).cos())  # noqa: E731
    resampler = Resampler(rate, RATE)
    pieces = [resampler.push(piece) for piece in chirp(rate).split(333)]
    found = torch.cat([*pieces, resampler.finish()])
    expected = chirp(RATE)
    assert abs(len(found) - RATE) <= 48
    inside = slice(2000, 40_000)
    assert (found[inside] - expected[inside]).abs().max() < 0.02
    again = Resampler(rate, RATE)
    assert torch.equal(torch.cat([again.push(chirp(rate)), again.finish()]), found)
