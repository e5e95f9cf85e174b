"""Whether the lips close for P, B and M, and only then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor

import torch
from torch import Tensor

from ..timeline import FPS
from .lips import CLOSED
from .phonemes import Phoneme, is_bilabial, is_pause

SLACK = 1  # frames by which a closure may be early or late
NOISE = 1e-6  # of a frame: times are rounded sums


@dataclass(frozen=True)
class Closure:
    """Closed lips against the bilabials of the speech.

    Attributes:
        bilabials, made: how many there are, neighbours counted as one, and for how many the lips close.
        closures, right: how often the lips close while somebody speaks, and how often for a bilabial.
    """

    bilabials: int
    made: int
    closures: int
    right: int

    @property
    def recall(self) -> float | None:
        """Share of bilabials with closed lips; None without any."""
        return self.made / self.bilabials if self.bilabials else None

    @property
    def precision(self) -> float | None:
        """Share of closures that are for a bilabial; None without any."""
        return self.right / self.closures if self.closures else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, 0 where the lips never close; None without bilabials."""
        if not self.bilabials:
            return None
        precision, recall = self.precision or 0.0, self.recall
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def closure(gap: Tensor, phonemes: Sequence[Phoneme]) -> Closure:
    """Closed lips of a mouth whose gaps [T] at 25 fps are known, NaN where not.

    A bilabial is made where the lips are closed in some frame that shows any of it, or in the frame before or after
    these. A closure is a run of closed frames; it is right where it meets a bilabial thus. Any other run that reaches
    into a pause, where lips may rest, is none.
    """
    closed = (gap < CLOSED).tolist()
    known = gap.isfinite().tolist()
    spans = [_frames(start, end, len(closed)) for start, end in _bilabials(phonemes)]
    spans = [span for span in spans if any(known[i] for i in span)]
    spoken = {i for symbol, start, end in phonemes if not is_pause(symbol) for i in _frames(start, end, len(closed), 0)}
    expected = {i for span in spans for i in span}
    right = [run for run in _runs(closed) if not expected.isdisjoint(run)]
    wrong = [run for run in _runs(closed) if expected.isdisjoint(run) and spoken.issuperset(run)]
    made = sum(any(closed[i] for i in span) for span in spans)
    return Closure(len(spans), made, len(right) + len(wrong), len(right))


def _bilabials(phonemes: Iterable[Phoneme]) -> list[tuple[float, float]]:
    """(start, end) of the bilabials, those that follow each other at once as one."""
    found: list[tuple[float, float]] = []
    for symbol, start, end in phonemes:
        if is_bilabial(symbol):
            if found and start - found[-1][1] < 0.5 / FPS:
                start = found.pop()[0]
            found.append((start, end))
    return found


def _frames(start: float, end: float, length: int, slack: int = SLACK) -> range:
    """Frames that show any of the time from ``start`` to ``end``, and ``slack`` more on either side."""
    first, stop = floor(start * FPS + NOISE), ceil(end * FPS - NOISE)
    return range(max(0, first - slack), min(length, stop + slack))


def _runs(closed: list[bool]) -> list[range]:
    """Stretches of true values."""
    padded = torch.tensor([False, *closed, False]).int()
    edges = padded.diff().nonzero().flatten().tolist()
    return [range(first, end) for first, end in zip(edges[::2], edges[1::2])]
