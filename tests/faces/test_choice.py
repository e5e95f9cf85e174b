"""Which of several faces is meant."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lipforcing.faces.choice import choose, overlap

SIZE = (90, 160)


def face(x: float, y: float = 40.0, width: float = 24.0):
    return SimpleNamespace(box=torch.tensor([x - width / 2, y - width / 2, x + width / 2, y + width]))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("largest", 120),
        ("center", 70),
        (0, 30),
        (1, 70),
        (2, 120),
        ((28.0, 41.0), 30),
        ((60.0, 20.0, 80.0, 60.0), 70),
    ],
)
def test_choices(choice, expected):
    faces = [face(120, width=30), face(30), face(70, width=20)]
    assert float(choose(faces, choice, SIZE).box[[0, 2]].mean()) == expected


@pytest.mark.parametrize("choice", ["largest", "center", 0, (5.0, 5.0), (0.0, 0.0, 5.0, 5.0)])
def test_nobody_is_chosen_of_nobody(choice):
    assert choose([], choice, SIZE) is None


@pytest.mark.parametrize("choice", [5, (5.0, 5.0), (0.0, 0.0, 5.0, 5.0)])
def test_a_choice_that_names_no_face_picks_none(choice):
    assert choose([face(50)], choice, SIZE) is None


def test_overlap():
    a, b = torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 0.0, 6.0, 2.0])
    assert overlap(a, a) == 1 and overlap(a, b) == pytest.approx(1 / 3)
    nothing = torch.tensor([3.0, 1.0, 3.0, 1.0])
    assert overlap(a, nothing) == overlap(nothing, nothing) == overlap(a, b + 10) == 0
