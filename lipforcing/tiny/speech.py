"""Speech with known mouth shapes, from espeak-ng: ``speak``, ``utterance``.

espeak-ng (the system's shared library) is needed only to make training data and the bundled samples, never to run a
model. It keeps its state per process, so one engine is started on first use and shared.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..audio.resample import resample
from ..errors import InputError
from ..timeline import FPS, SAMPLE_RATE
from .sentences import random_sentence
from .visemes import STOPS, Phoneme, is_pause, viseme_track

__all__ = ["VOICES", "Phoneme", "Utterance", "available", "random_sentence", "speak", "utterance", "viseme_track"]

VOICES = tuple(
    f"{accent}+{variant}"
    for accent in ("en-us", "en", "en-gb-scotland")
    for variant in ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4")
)

# espeak-ng's speak_lib.h
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _DONT_EXIT = 0x0001, 0x8000
_EVENT_END_OF_LIST, _EVENT_PHONEME = 0, 7
_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3
_UTF8 = 1


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Utterance:
    """Speech and what it says: mono float32 [samples] at 16 kHz, and (symbol, start s, end s) of every phoneme."""

    waveform: Tensor
    phonemes: tuple[Phoneme, ...]


class _Engine:
    """The process's espeak-ng; ``synthesise`` returns samples at ``rate`` Hz and (symbol, first sample) events."""

    def __init__(self, library: ctypes.CDLL):
        self.library = library
        self.rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _DONT_EXIT)
        if self.rate <= 0:
            raise InputError("espeak-ng did not start (its voice data is missing): install espeak-ng-data.")
        self.samples: list[bytes] = []
        self.events: list[tuple[str, int]] = []
        self.callback = _Callback(self._receive)  # kept: the library holds only a bare pointer to it
        library.espeak_SetSynthCallback(self.callback)

    def _receive(self, wave, count: int, events) -> int:
        if wave and count > 0:
            self.samples.append(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type != _EVENT_END_OF_LIST:
            if events[index].type == _EVENT_PHONEME:
                self.events.append((events[index].id.decode("utf-8", "replace"), events[index].sample))
            index += 1
        return 0

    def synthesise(self, text: str, voice: str, rate: int, pitch: int) -> tuple[np.ndarray, list[tuple[str, int]]]:
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise InputError(f"espeak-ng has no voice {voice!r}: choose one that 'espeak-ng --voices' lists.")
        self.library.espeak_SetParameter(_RATE_PARAMETER, rate, 0)
        self.library.espeak_SetParameter(_PITCH_PARAMETER, pitch, 0)
        self.samples, self.events = [], []
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        return np.frombuffer(b"".join(self.samples), np.int16).astype(np.float32) / 32768, self.events


@functools.cache
def _engine() -> _Engine:
    try:
        library = ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        raise InputError(
            "libespeak-ng.so.1 was not found: install the system package libespeak-ng1 (apt install espeak-ng)."
        ) from None
    return _Engine(library)


def available() -> bool:
    """Whether espeak-ng is installed."""
    try:
        _engine()
    except InputError:
        return False
    return True


def speak(text: str, voice: str = "en-us", rate: int = 160, pitch: int = 50) -> Utterance:
    """Says ``text``; ``rate`` in words per minute (80..450), ``pitch`` 0..99, ``voice`` an espeak-ng name (``VOICES``).

    Raises InputError where the library or the voice is missing.
    """
    engine = _engine()
    samples, events = engine.synthesise(text, voice, rate, pitch)
    bounds = [position / engine.rate for _, position in events[1:]] + [len(samples) / engine.rate]
    phonemes = [(name, at / engine.rate, end) for (name, at), end in zip(events, bounds)]
    phonemes = _with_closures([p for p in phonemes if p[2] > p[1]], samples, engine.rate)
    return Utterance(resample(torch.from_numpy(samples)[None], engine.rate, SAMPLE_RATE)[0], tuple(phonemes))


def _with_closures(phonemes: list[Phoneme], samples: np.ndarray, rate: int) -> list[Phoneme]:
    """Gives each stop the silence before it: espeak marks the burst and leaves the closure to the sound before."""
    hop = rate // 200
    level = np.sqrt((samples[: len(samples) // hop * hop].reshape(-1, hop) ** 2).mean(1))
    quiet = level < 0.06 * np.quantile(level, 0.95) if len(level) else level
    fixed: list[Phoneme] = []
    for name, start, end in phonemes:
        if name in STOPS and fixed and not is_pause(fixed[-1][0]):
            before, since, _ = fixed[-1]
            step = first = round(start * rate / hop)
            earliest = max((since + 0.3 * (start - since)), start - 0.12) * rate / hop
            # The burst's own onset may smear into the hop before the event.
            while step - 1 > earliest and (quiet[step - 1] or step == first):
                step -= 1
            if step < first - 1:
                start = step * hop / rate
                fixed[-1] = (before, since, start)
        fixed.append((name, start, end))
    return fixed


def utterance(seed: int, seconds: float, voice: str | None = None) -> tuple[Tensor, Tensor]:
    """Random sentences with short pauses, filling ``seconds`` exactly.

    Returns the waveform, float32 [round(seconds * 16000)], and the mouth track, float32 [round(seconds * 25), 5], frame
    i at (i + 0.5) / 25 s. One voice, pace and pitch per seed.
    """
    rng = np.random.default_rng((seed, 3))
    chosen, rate, pitch = VOICES[int(rng.integers(len(VOICES)))], int(rng.integers(130, 201)), int(rng.integers(25, 76))
    total, cursor = round(seconds * SAMPLE_RATE), float(rng.uniform(0.08, 0.45))
    waveform, phonemes = torch.zeros(total), []
    while cursor < seconds:
        said = speak(random_sentence(int(rng.integers(2**31))), voice or chosen, rate, pitch)
        first = round(cursor * SAMPLE_RATE)
        part = said.waveform[: total - first]
        waveform[first : first + len(part)] = part
        phonemes += [(name, start + cursor, end + cursor) for name, start, end in said.phonemes]
        cursor += len(said.waveform) / SAMPLE_RATE + float(rng.uniform(0.12, 0.55))
    waveform *= float(rng.uniform(0.35, 0.9)) / float(waveform.abs().amax().clamp_min(1e-3))
    return waveform, viseme_track(phonemes, round(seconds * FPS), waveform=waveform)
