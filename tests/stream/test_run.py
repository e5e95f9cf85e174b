"""A run's state, and the pasts of several runs as a batch."""

from __future__ import annotations

import torch

from lipforcing.models import Past
from lipforcing.sampling.noise import NoiseKey
from lipforcing.stream.run import Run, past_of, split_past
from lipforcing.stream.voice import Voice

from .helpers import small_family


def a_past(value: float, frames: int = 3) -> Past:
    layer = torch.full((1, 2 * frames, 1, 4), value), torch.full((1, 2 * frames, 1, 4), -value)
    return Past((layer, layer), frames)


def a_run(past: Past) -> Run:
    family = small_family()
    run = Run.start(family, NoiseKey(0), Voice(None, family.student, family.text))
    run.past = past
    return run


def test_a_fresh_run_has_nothing_behind_it():
    run = a_run(Past())
    assert run.past.frames == run.chunks == 0 and run.pending is run.reference is run.last_face is None
    other = a_run(Past())
    assert run.match is not other.match and run.encoder is not other.encoder


def test_pasts_are_joined_and_split_again():
    pasts = [a_past(1.0), a_past(2.0), a_past(3.0)]
    both = past_of([a_run(past) for past in pasts])
    assert both.frames == 3 and both.layer(1)[0].shape == (3, 6, 1, 4)
    assert both.layer(1)[0][:, 0, 0, 0].tolist() == [1, 2, 3] and both.layer(0)[1][:, 0, 0, 0].tolist() == [-1, -2, -3]
    for again, past in zip(split_past(both, 3), pasts, strict=True):
        assert again.frames == past.frames
        assert all(torch.equal(a, b) for a, b in zip(again.layer(0), past.layer(0)))


def test_one_past_is_handed_on_as_it_is():
    past = a_past(1.0)
    assert past_of([a_run(past)]) is past and split_past(past, 1) == [past]
    assert past_of([a_run(Past()), a_run(Past())]).frames == 0
