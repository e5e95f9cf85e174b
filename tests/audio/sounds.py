"""Sounds for which ``tools/record_silero.py`` records what the original finds: mono float32 at 16 kHz."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

SAMPLES = Path(__file__).parents[2] / "lipforcing" / "tiny" / "samples"


def sounds() -> Iterator[tuple[str, torch.Tensor]]:
    """(name, samples): drawn people's speech, noise with gaps, and sentences torn apart by silence."""
    speech = [_read(SAMPLES / f"{name}.wav") for name in ("market", "moon")]
    yield from zip(("market", "moon"), speech)
    noise = np.random.RandomState(1).randint(-9000, 9000, 40_000).astype(np.float32) / 32768
    noise[10_000:20_000] = 0
    yield "noise", torch.from_numpy(noise)
    pieces = []
    for number, piece in enumerate(torch.cat(speech).split(11_000)):
        pieces += [piece, torch.zeros(700 * number)]
    yield "torn", torch.cat(pieces)


def _read(path: Path) -> torch.Tensor:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return torch.from_numpy(np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768))
