"""From phonemes to mouth shapes: viseme targets and coarticulation.

Phoneme symbols are those of espeak-ng's English (Kirshenbaum-like); mouth columns are opening, width, rounding, teeth,
tongue as in ``faces``. Frame i of a track is the mouth at the middle of its display interval, (i + 0.5) / 25 seconds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..timeline import FPS, SAMPLE_RATE
from .faces import RELAXED

Phoneme = tuple[str, float, float]
Shape = tuple[float, float, float, float, float]

_RATE = 200  # Hz, of the track before it is sampled at the frame rate
_SPREAD = 0.100  # s, full width of the raised cosine that blends neighbours
_SEAL = 0.050  # s, shortest full closure: longer than a frame, so that every closure shows in one
_APPROACH = 0.045  # s, how long the lips take to part or meet

# Targets of consonants and pure vowels.
_SHAPES: dict[str, Shape] = {
    "p": (0.00, 0.40, 0.05, 0.00, 0.00),
    "f": (0.08, 0.46, 0.00, 0.75, 0.00),
    "T": (0.22, 0.45, 0.00, 0.45, 0.95),
    "s": (0.14, 0.64, 0.00, 0.95, 0.10),
    "S": (0.20, 0.22, 0.62, 0.85, 0.10),
    "t": (0.22, 0.48, 0.00, 0.50, 0.50),
    "l": (0.32, 0.46, 0.00, 0.35, 0.85),
    "k": (0.30, 0.46, 0.00, 0.28, 0.08),
    "r": (0.24, 0.28, 0.50, 0.30, 0.25),
    "w": (0.12, 0.08, 0.95, 0.00, 0.00),
    "j": (0.22, 0.66, 0.00, 0.55, 0.20),
    "h": (0.42, 0.46, 0.05, 0.22, 0.10),
    "A": (1.00, 0.42, 0.05, 0.22, 0.05),
    "a": (0.88, 0.66, 0.00, 0.36, 0.10),
    "V": (0.70, 0.46, 0.00, 0.26, 0.10),
    "E": (0.62, 0.62, 0.00, 0.40, 0.15),
    "e": (0.52, 0.68, 0.00, 0.45, 0.15),
    "I": (0.38, 0.64, 0.00, 0.50, 0.20),
    "i": (0.28, 0.86, 0.00, 0.62, 0.20),
    "@": (0.40, 0.44, 0.05, 0.26, 0.10),
    "3": (0.42, 0.32, 0.38, 0.28, 0.20),
    "O": (0.74, 0.18, 0.66, 0.10, 0.05),
    "o": (0.56, 0.16, 0.76, 0.06, 0.00),
    "U": (0.32, 0.18, 0.72, 0.08, 0.00),
    "u": (0.22, 0.06, 0.96, 0.00, 0.00),
    # of other languages (see ``languages``)
    "bb": (0.08, 0.42, 0.05, 0.00, 0.00),
    "rr": (0.28, 0.46, 0.00, 0.30, 0.40),
    "y": (0.20, 0.12, 0.88, 0.10, 0.20),
    "Y": (0.44, 0.20, 0.68, 0.12, 0.15),
}
_ALIKE = {
    "m": "p", "b": "p", "v": "f", "D": "T", "z": "s", "Z": "S", "tS": "S", "dZ": "S", "d": "t", "n": "t", "L": "l",
    "g": "k", "N": "k", "x": "k", "?": "h", ";": "j", "Q": "A", "0": "A", "a#": "V", "@L": "l", "@5": "U", "R": "r",
    "ts": "s", "dz": "s",
}  # fmt: skip
_GLIDES = {
    "aI": "aI", "aU": "aU", "eI": "eI", "oU": "oU", "OI": "OI", "i@": "i@", "e@": "E@", "U@": "U@", "A@": "Ar",
    "O@": "Or", "o@": "Or", "aI@": "aI@", "aU@": "aU@", "IR": "ir", "VR": "Vr",
    "VU": "VU", "yU": "yU", "oI": "oI", "uI": "uI", "EI": "EI", "EU": "EU", "eU": "eU", "iU": "iU",
    "ja": "ja", "ju": "ju", "ia": "ia", "iaU": "iaU", "iE": "iE", "io": "io", "ioU": "ioU", "ua": "ua", "uaI": "uaI",
    "u@": "u@", "ueI": "ueI", "uo": "uo", "yE": "yE", "y@": "y@", "yi": "yi",
}  # fmt: skip
_BILABIAL = ("p", "b", "m")
STOPS = ("p", "b", "t", "d", "k", "g", "tS", "dZ", "t#", "t2", "?", "ts", "dz")


def shapes_of(symbol: str) -> list[Shape]:
    """The mouth shapes that a phoneme passes through; marks like length and variant digits are ignored if unknown."""
    name = symbol
    while name:
        if known(name):
            return [_SHAPES[part] for part in _GLIDES.get(name, (_ALIKE.get(name, name),))]
        name = name[:-1]
    return [_SHAPES["@"]]


def known(symbol: str) -> bool:
    """Whether there is a shape for just this symbol."""
    return symbol in _GLIDES or symbol in _ALIKE or symbol in _SHAPES


def is_pause(symbol: str) -> bool:
    return symbol.startswith("_")


def viseme_track(phonemes: list[Phoneme], frames: int, waveform: Tensor | None = None) -> Tensor:
    """Mouth track [frames, 5] of ``phonemes`` (symbol, start s, end s), at rest wherever none is listed.

    With ``waveform`` (mono [samples], 16 kHz) vowels open wider where it is loud. A sound shows about 50 ms around its
    place, so the track at a time is a function of the audio within some 120 ms of it.
    """
    count = int(np.ceil(frames / FPS * _RATE)) + _RATE // 2
    time = (np.arange(count) + 0.5) / _RATE
    targets = np.tile(np.array(RELAXED), (count, 1))
    sealed = np.zeros(count)
    for symbol, start, end in phonemes:
        if is_pause(symbol) or end <= start:
            continue
        first, last = np.searchsorted(time, (start, end))
        shapes = np.array(shapes_of(symbol))
        place = (time[first:last] - start) / (end - start)
        knots = [0.5] if len(shapes) == 1 else np.linspace(0.25, 0.85, len(shapes))
        for column in range(5):
            targets[first:last, column] = np.interp(place, knots, shapes[:, column])
        if symbol in _BILABIAL:
            middle, reach = (start + end) / 2, max(end - start - 0.02, _SEAL) / 2
            outside = np.clip((np.abs(time - middle) - reach) / _APPROACH, 0, 1)
            sealed = np.maximum(sealed, 0.5 + 0.5 * np.cos(np.pi * outside))
    if waveform is not None:
        targets[:, 0] *= 0.72 + 0.38 * _loudness(waveform, time)
    kernel = np.hanning(int(_SPREAD * _RATE) + 3)[1:-1]
    kernel /= kernel.sum()
    # Edge padding is rest: the mouth is at rest before the first and after the last sound.
    half = len(kernel) // 2
    for column in range(5):
        padded = np.pad(targets[:, column], half, constant_values=RELAXED[column])
        targets[:, column] = np.convolve(padded, kernel, mode="valid")[:count]
    targets[:, 0] *= 1 - sealed
    targets[:, 3:] *= (1 - sealed)[:, None]
    wanted = (np.arange(frames) + 0.5) / FPS
    track = np.stack([np.interp(wanted, time, targets[:, column]) for column in range(5)], axis=1)
    return torch.from_numpy(track).float().clamp(0, 1)


def _loudness(waveform: Tensor, time: np.ndarray) -> np.ndarray:
    """Loudness around each time in [0, 1]: RMS over 80 ms against the clip's loud passages, compressed."""
    power = np.concatenate(([0.0], np.cumsum(waveform.double().numpy() ** 2)))
    begin = np.clip(((time - 0.04) * SAMPLE_RATE).astype(int), 0, len(power) - 1)
    end = np.clip(((time + 0.04) * SAMPLE_RATE).astype(int), 0, len(power) - 1)
    level = np.sqrt((power[end] - power[begin]) / (0.08 * SAMPLE_RATE))
    return np.clip(level / (np.quantile(level, 0.95) + 1e-6), 0, 1) ** 0.6
