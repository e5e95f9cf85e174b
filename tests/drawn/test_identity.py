"""Who is drawn."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from lipforcing.drawn.identity import COLLARS, HAIR_STYLES, Identity, rgb

PEOPLE = [Identity.sample(seed) for seed in range(200)]


def test_a_seed_is_a_person():
    assert Identity.sample(7) == Identity.sample(7) != Identity.sample(8)


def test_people_differ_in_everything():
    assert {who.hair_style for who in PEOPLE} == set(HAIR_STYLES) and {who.collar for who in PEOPLE} == set(COLLARS)
    constant = {name for name in asdict(PEOPLE[0]) if len({getattr(who, name) for who in PEOPLE}) == 1}
    assert not constant
    assert 0.1 < sum(who.glasses > 0 for who in PEOPLE) / 200 < 0.35


def test_colours_are_colours():
    assert rgb("ff8000") == pytest.approx((1, 128 / 255, 0))
    for who in PEOPLE:
        for value in asdict(who).values():
            if isinstance(value, tuple) and len(value) == 3:
                assert all(0 <= part <= 1 for part in value)
