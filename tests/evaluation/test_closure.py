"""Closed lips on P, B and M."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.closure import closure
from lipforcing.evaluation.lips import CLOSED

OPEN, SHUT = 4 * CLOSED, 0.0
# frames 0-9 pause, 10-39 speech with bilabials in 15-16 and 25-27 (two that follow each other), 40-49 pause
SPOKEN = (
    ("_:", 0.0, 0.4),
    ("a", 0.4, 0.6),
    ("p", 0.6, 0.68),
    ("a", 0.68, 1.0),
    ("m", 1.0, 1.06),
    ("b", 1.06, 1.12),
    ("a", 1.12, 1.6),
    ("sil", 1.6, 2.0),
)


def gaps(*closed: int) -> torch.Tensor:
    gap = torch.full((50,), OPEN)
    gap[:10], gap[40:], gap[list(closed)] = SHUT, SHUT, SHUT
    return gap


@pytest.mark.parametrize(
    ("closed", "made", "closures", "right"),
    [
        ((15, 16, 26), 2, 2, 2),
        ((14, 28), 2, 2, 2),  # a frame early, a frame late
        ((13, 29), 0, 2, 0),  # more than that
        ((15, 20, 21, 33), 1, 3, 1),
        ((), 0, 0, 0),
        ((10, 11, 12, 38, 39), 0, 0, 0),  # goes on from a pause, or into one
        ((10, 11, 12, 13, 14, 38, 39), 1, 1, 1),  # the first does, but for a bilabial
        (tuple(range(12, 38)), 2, 1, 1),
    ],
)
def test_counts(closed, made, closures, right):
    found = closure(gaps(*closed), SPOKEN)
    assert (found.bilabials, found.made, found.closures, found.right) == (2, made, closures, right)


def test_figures():
    found = closure(gaps(15, 20, 33), SPOKEN)
    assert (found.recall, found.precision) == (1 / 2, pytest.approx(1 / 3)) and found.f1 == pytest.approx(0.4)
    never = closure(gaps(), SPOKEN)
    assert never.recall == never.f1 == 0 and never.precision is None
    none = closure(gaps(15), SPOKEN[:2])
    assert none.f1 is none.recall is None


def test_what_is_not_seen_does_not_count():
    gap = gaps(15)
    gap[20:] = torch.nan
    found = closure(gap, SPOKEN)
    assert (found.bilabials, found.made, found.closures) == (1, 1, 1)
