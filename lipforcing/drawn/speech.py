"""Speech with known mouth shapes, from espeak-ng: ``speak``, ``passage``, ``utterance``, and varied ones for training.

espeak-ng (the system's shared library) is needed only to make training data and the bundled samples, never to run a
model. Each call runs it in a process of its own, which makes it repeatable (see ``espeak_worker``).
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..audio.resample import resample
from ..errors import InputError
from ..timeline import FPS, SAMPLE_RATE
from . import espeak_worker
from .company import with_company
from .languages import ENGLISH, LANGUAGES
from .sentences import random_sentence
from .visemes import STOPS, Phoneme, is_pause, viseme_track

__all__ = [
    "VOICES",
    "Phoneme",
    "Utterance",
    "available",
    "passage",
    "random_sentence",
    "speak",
    "utterance",
    "varied_passage",
    "varied_utterance",
    "viseme_track",
]

VOICES = tuple(
    f"{accent}+{variant}"
    for accent in ("en-us", "en", "en-gb-scotland")
    for variant in ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4")
)

SENTENCES = 2**31  # seeds of sentences: passages draw them below, varied passages from there on


@dataclass(frozen=True)
class Utterance:
    """Speech and what it says: mono float32 [samples] at 16 kHz, and (symbol, start s, end s) of every phoneme."""

    waveform: Tensor
    phonemes: tuple[Phoneme, ...]


class _Speaker:
    """A fresh espeak-ng process; what it says depends on its arguments and on what it said before, on nothing else."""

    def __enter__(self) -> _Speaker:
        _require_library()
        command = [sys.executable, "-I", "-S", espeak_worker.__file__]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *exception) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def say(self, text: str, voice: str, rate: int, pitch: int, named: Callable[[str], str] | None = None) -> Utterance:
        """What :func:`speak` returns; ``named`` gives phonemes other names."""
        request = {"text": text, "voice": voice, "rate": rate, "pitch": pitch}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise InputError(answer["error"] + ".")
        samples = np.frombuffer(self.process.stdout.read(answer["bytes"]), np.int16).astype(np.float32) / 32768
        hertz, events = answer["rate"], answer["events"]
        bounds = [position / hertz for _, position in events[1:]] + [len(samples) / hertz]
        phonemes = [(name, at / hertz, end) for (name, at), end in zip(events, bounds) if end > at / hertz]
        if named is not None:
            phonemes = [(named(name), start, end) for name, start, end in phonemes]
        phonemes = _with_closures(phonemes, samples, hertz)
        return Utterance(resample(torch.from_numpy(samples)[None], hertz, SAMPLE_RATE)[0], tuple(phonemes))


def _require_library() -> None:
    try:
        ctypes.CDLL(espeak_worker.LIBRARY)
    except OSError:
        raise InputError(
            f"{espeak_worker.LIBRARY} was not found: install the system package espeak-ng (apt install espeak-ng)."
        ) from None


def available() -> bool:
    """Whether espeak-ng is installed."""
    try:
        _require_library()
    except InputError:
        return False
    return True


def speak(text: str, voice: str = "en-us", rate: int = 160, pitch: int = 50) -> Utterance:
    """Says ``text``; ``rate`` in words per minute (80..450), ``pitch`` 0..99, ``voice`` an espeak-ng name (``VOICES``).

    The same arguments give the same samples. Raises InputError where the library or the voice is missing.
    """
    with _Speaker() as speaker:
        return speaker.say(text, voice, rate, pitch)


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


def passage(seed: int, seconds: float) -> Utterance:
    """Random English sentences with short pauses, filling ``seconds`` exactly; phonemes may go on beyond the end.

    One voice, pace and pitch per seed.
    """
    rng = np.random.default_rng((seed, 3))
    voice, rate, pitch = VOICES[int(rng.integers(len(VOICES)))], int(rng.integers(130, 201)), int(rng.integers(25, 76))

    def sentence(speaker: _Speaker) -> Utterance:
        return speaker.say(random_sentence(int(rng.integers(SENTENCES))), voice, rate, pitch)

    said = _fill(seconds, float(rng.uniform(0.08, 0.45)), sentence, lambda: float(rng.uniform(0.12, 0.55)))
    return _at_level(said, float(rng.uniform(0.35, 0.9)))


def varied_passage(seed: int, seconds: float) -> Utterance:
    """Random sentences of one of ``LANGUAGES``, two in five times of English, with pauses of 0.1 to 3 seconds.

    One voice, pace and pitch per seed; see :func:`passage`. Phonemes have the names of English ones.
    """
    rng = np.random.default_rng((seed, 7))
    language = ENGLISH if rng.random() < 0.4 else LANGUAGES[int(rng.integers(1, len(LANGUAGES)))]
    voice = language.voices[int(rng.integers(len(language.voices)))]
    rate, pitch = int(rng.integers(110, 231)), int(rng.integers(10, 91))

    def sentence(speaker: _Speaker) -> Utterance:
        number = SENTENCES + int(rng.integers(SENTENCES))
        return speaker.say(language.sentence(number), voice, rate, pitch, language.as_english)

    def pause() -> float:
        return float(rng.uniform(0.6, 3.0) if rng.random() < 0.2 else rng.uniform(0.1, 0.6))

    said = _fill(seconds, float(rng.uniform(0.0, 0.6)), sentence, pause)
    return _at_level(said, float(rng.uniform(0.25, 0.95)))


def _fill(
    seconds: float, first: float, sentence: Callable[[_Speaker], Utterance], pause: Callable[[], float]
) -> Utterance:
    """Sentences from ``first`` on with pauses between them, cut off after ``seconds``."""
    total, cursor = round(seconds * SAMPLE_RATE), first
    waveform, phonemes = torch.zeros(total), []
    with _Speaker() as speaker:
        while cursor < seconds:
            said = sentence(speaker)
            begin = round(cursor * SAMPLE_RATE)
            part = said.waveform[: total - begin]
            waveform[begin : begin + len(part)] = part
            phonemes += [(name, start + cursor, end + cursor) for name, start, end in said.phonemes]
            cursor += len(said.waveform) / SAMPLE_RATE + pause()
    return Utterance(waveform, tuple(phonemes))


def _at_level(said: Utterance, peak: float) -> Utterance:
    """The same, as loud as ``peak`` at its loudest."""
    return replace(said, waveform=said.waveform * (peak / float(said.waveform.abs().amax().clamp_min(1e-3))))


def utterance(seed: int, seconds: float) -> tuple[Tensor, Tensor]:
    """A :func:`passage` and the mouth that goes with it.

    Returns the waveform, float32 [round(seconds * 16000)], and the mouth track, float32 [round(seconds * 25), 5], frame
    i at (i + 0.5) / 25 s.
    """
    said = passage(seed, seconds)
    return said.waveform, viseme_track(said.phonemes, round(seconds * FPS), waveform=said.waveform)


def varied_utterance(seed: int, seconds: float) -> tuple[Tensor, Tensor]:
    """As :func:`utterance`, of a :func:`varied_passage`, in a third of the cases with noise or music beside it.

    The mouth follows the speech alone.
    """
    said = varied_passage(seed, seconds)
    mouth = viseme_track(said.phonemes, round(seconds * FPS), waveform=said.waveform)
    return with_company(said.waveform, seed), mouth
