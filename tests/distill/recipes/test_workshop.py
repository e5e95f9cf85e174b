"""Where recipes find each other's results."""

from __future__ import annotations

import torch

from lipforcing.distill.recipes.workshop import Workshop, seeded
from lipforcing.tiny import family


def test_own_parts_come_before_those_of_the_package(tmp_path):
    workshop = Workshop(tmp_path)
    packaged = workshop.part("meter").out.bias
    assert torch.equal(packaged, family.load("meter").out.bias)
    own = family.load("meter")
    own.out.bias += 1
    family.save("meter", own, {}, workshop.weights)
    assert torch.equal(workshop.part("meter").out.bias, own.out.bias.half().float())


def test_seeds_do_not_leak():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(7):
        inside = torch.rand(1)
    assert torch.equal(torch.rand(2), expected)
    with seeded(7):
        assert torch.equal(torch.rand(1), inside)
