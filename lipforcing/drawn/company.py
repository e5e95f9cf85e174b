"""What else is heard beside a voice: noise and music, made from a seed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..timeline import SAMPLE_RATE

__all__ = ["music", "noise", "with_company"]

SHARE = 1 / 3  # of clips with company
RATIO = (3.0, 25.0)  # dB, speech over company
_CHORDS = ((0, 4, 7), (0, 3, 7), (0, 5, 9), (0, 4, 7, 11), (0, 3, 7, 10))  # semitones


def with_company(speech: Tensor, seed: int) -> Tensor:
    """``speech`` [samples] at 16 kHz, in a third of the cases with noise or music beside it, 3 to 25 dB weaker."""
    rng = np.random.default_rng((seed, 8))
    if rng.random() >= SHARE:
        return speech
    company = (noise if rng.random() < 0.5 else music)(rng, len(speech))
    level = speech.square().mean().sqrt() * 10 ** (-rng.uniform(*RATIO) / 20)
    mixed = speech + torch.from_numpy(company).float() * level
    return mixed / mixed.abs().amax().clamp_min(1.0)  # nothing clips


def noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Noise between white and brown that swells and ebbs, [samples], of RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(hertz, 40.0) ** (-rng.uniform(0, 1))
    time = np.arange(samples) / SAMPLE_RATE
    swell = 1 + rng.uniform(0, 0.7) * np.sin(2 * np.pi * (rng.uniform(0.1, 1.5) * time + rng.random()))
    return _even(np.fft.irfft(spectrum, samples) * swell)


def music(rng: np.random.Generator, samples: int) -> np.ndarray:
    """A melody over chords, plucked or held, at some pace and in some key, [samples], of RMS 1."""
    beat = int(SAMPLE_RATE * 60 / rng.uniform(60, 160))
    root, decay = rng.uniform(110, 330), rng.uniform(0.5, 6)
    track = np.zeros(samples)
    for number, start in enumerate(range(0, samples, beat)):
        if number % 4 == 0:
            chord = _CHORDS[int(rng.integers(len(_CHORDS)))]
            base = int(rng.choice((0, 2, 5, 7, 9)))
            _play(track, start, 4 * beat, [root / 2 * 2 ** ((base + step) / 12) for step in chord], decay / 4)
        if rng.random() < 0.8:
            step = base + int(rng.choice(chord)) + 12 * int(rng.integers(2))
            _play(track, start, beat, [root * 2 ** (step / 12)], decay)
    return _even(track)


def _play(track: np.ndarray, start: int, length: int, notes: list[float], decay: float) -> None:
    """Add notes (Hz) to a track, each with six harmonics, fading with ``decay`` per second."""
    part = track[start : start + length]
    time = np.arange(len(part)) / SAMPLE_RATE
    envelope = np.minimum(time / 0.01, 1) * np.exp(-decay * time) * np.minimum((time[::-1] + 1e-3) / 0.02, 1)
    for note in notes:
        part += envelope * sum(np.sin(2 * np.pi * note * k * time) / k**1.5 for k in range(1, 7))


def _even(track: np.ndarray) -> np.ndarray:
    return track / np.sqrt(np.mean(track**2) + 1e-12)
