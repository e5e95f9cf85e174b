"""How speech moves the mouth: what it does in pauses, and how strongly it moves.

The network hears packed speech vectors v. What reaches it is ``rest + strength level (v - rest)``, with ``rest`` the
vector of encoded silence and ``level`` 1 while somebody speaks, falling to 0 in pauses where these are to be quiet.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ..errors import InputError
from ..timeline import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME
from .voice_activity import CHUNK, SILENCE, SPEECH, SileroVAD, VoiceActivity

if TYPE_CHECKING:
    from .base import AudioEncoder

Pauses = Literal["model", "rest", "source"]

MAX_STRENGTH = 1.5
LEAD, TAIL = 0.04, 0.12  # seconds before and after speech that count as speech
RISE, FALL = 0.16, 0.24  # seconds in which the level rises before that, and falls after it
AHEAD = math.ceil((LEAD + RISE) * FPS)  # rows by which the level looks ahead
BEHIND = math.ceil((TAIL + FALL) * FPS)
REST_SECONDS = 2  # of silence, whose middle is the rest


@dataclass(frozen=True)
class Manner:
    """Choices of how speech moves the mouth.

    Attributes:
        pauses: what the mouth does while nobody speaks. "model": what the network makes of the sound, which hears
            breath and noise. "rest": what it makes of silence. "source": the source's own mouth.
        strength: of the speech, 0 (a mouth at rest) to 1.5; 1 is as trained.

    Raises:
        InputError: out of range.
    """

    pauses: Pauses = "model"
    strength: float = 1.0

    def __post_init__(self):
        if self.pauses not in ("model", "rest", "source"):
            raise InputError(f"pauses: {self.pauses!r} is none of model, rest, source; choose one of them.")
        if not 0 <= self.strength <= MAX_STRENGTH:
            raise InputError(f"The lip strength {self.strength:g} is out of range; give 0 to {MAX_STRENGTH:g}.")

    @property
    def listens(self) -> bool:
        """Whether it must be known where somebody speaks."""
        return self.pauses != "model"

    @property
    def rests(self) -> bool:
        """Whether the vector of silence is needed."""
        return self.pauses == "rest" or self.strength != 1


PLAIN = Manner()


class Activity:
    """Where somebody speaks, one answer per 25-fps row; the same whatever the sizes of the pushes.

    A row of 40 ms touches two chunks of the detector and takes the larger probability; speech begins from ``SPEECH``
    on and ends below ``SILENCE``. ``copy.copy`` is a snapshot to go on from.

    Args:
        network: by default a new one.
    """

    def __init__(self, network: SileroVAD | None = None) -> None:
        self._detector = VoiceActivity(network)
        self._chunks: tuple[float, ...] = ()  # probabilities from that of the next row's first chunk on
        self._dropped = 0  # chunks before these
        self._row = 0
        self._speaking = False

    def __copy__(self) -> Activity:
        other = object.__new__(Activity)
        other.__dict__ |= self.__dict__
        other._detector = copy.copy(self._detector)
        return other

    def push(self, samples: Tensor) -> list[bool]:
        """Take the next samples (mono float [n] at 16 kHz); answers for the rows that are complete now."""
        return self._rows(self._detector.push(samples))

    def finish(self, rows: int) -> list[bool]:
        """The sound ends; the rest of the answers, ``rows`` in all."""
        answers = self._rows(self._detector.finish())
        left = rows - self._row
        silence = torch.zeros(2 + max(0, left) * SAMPLES_PER_FRAME // CHUNK + 1)
        return (answers + self._rows(silence))[: max(0, left) + len(answers)]

    def _rows(self, probabilities: Tensor) -> list[bool]:
        self._chunks += tuple(probabilities.tolist())
        answers = []
        while (first := self._row * SAMPLES_PER_FRAME // CHUNK - self._dropped) + 2 <= len(self._chunks):
            probability = max(self._chunks[first : first + 2])
            self._speaking = probability >= (SILENCE if self._speaking else SPEECH)
            answers.append(self._speaking)
            self._chunks = self._chunks[first:]
            self._dropped += first
            self._row += 1
        return answers


def level(active: Sequence[bool], row: int) -> float:
    """1 where somebody speaks in row ``row``, 0 in a pause, in between before and after speech; beyond ``active`` is
    a pause.
    """
    best = 0.0
    for other in range(max(0, row - BEHIND), min(len(active), row + AHEAD + 1)):
        if active[other]:
            apart = (row - other) / FPS
            best = max(best, 1 - (apart - TAIL) / FALL if apart >= 0 else 1 - (-apart - LEAD) / RISE)
    return min(1.0, best)


def speaking(waveform: Tensor, rows: int) -> list[bool]:
    """Whether somebody speaks in each of the first ``rows`` rows of a recording (mono [samples] at 16 kHz)."""
    activity = Activity()
    return (activity.push(waveform) + activity.finish(rows))[:rows]


def rest_row(encoder: AudioEncoder) -> Tensor:
    """The row [D] that an encoder gives for silence."""
    stream = encoder.stream()
    rows = torch.cat([stream.push(torch.zeros(REST_SECONDS * SAMPLE_RATE)), stream.finish()])
    return rows[len(rows) // 2]
