"""Noise by key: the same for the same purpose, independent for any other."""

from __future__ import annotations

import pytest
import torch

from lipforcing.sampling.noise import NoiseKey

SHAPE = (1, 16, 3, 8, 8)


def test_noise_depends_on_nothing_but_its_key():
    key = NoiseKey(42, 25, 1)
    late = key.draw(7, 1, SHAPE)
    for chunk in range(3):
        key.draws(chunk, 2, SHAPE)
    torch.randn(5)
    assert torch.equal(late, NoiseKey(42, 25, 1).draw(7, 1, SHAPE))
    assert torch.equal(key.draws(7, 2, SHAPE)[1], late)
    assert torch.equal(key.draws(7, 3, SHAPE)[1], late)  # another number of steps does not move it


def test_every_part_of_the_key_matters():
    keys = [
        (NoiseKey(1, 2, 3), 4, 5),
        (NoiseKey(2, 2, 3), 4, 5),
        (NoiseKey(1, 3, 3), 4, 5),
        (NoiseKey(1, 2, 4), 4, 5),
        (NoiseKey(1, 2, 3), 5, 5),
        (NoiseKey(1, 2, 3), 4, 6),
        (NoiseKey(12, 3, 4), 5, 6),
        (NoiseKey(1, 23, 4), 5, 6),
    ]
    draws = torch.stack([key.draw(chunk, step, SHAPE).flatten() for key, chunk, step in keys])
    correlation = torch.corrcoef(draws) - torch.eye(len(keys))
    assert correlation.abs().max() < 5 / draws.shape[1] ** 0.5


def test_noise_is_standard_normal():
    x = torch.cat([NoiseKey(0).draw(c, s, SHAPE).flatten() for c in range(20) for s in range(2)]).double()
    count = len(x) ** 0.5
    assert abs(x.mean()) < 5 / count and abs(x.var() - 1) < 5 * 2**0.5 / count
    assert (x.abs() < 1).double().mean().item() == pytest.approx(0.6827, abs=0.01)


@pytest.mark.parametrize("seed", [-1, 2**63, 99999999999999999999])
def test_any_integer_is_a_seed(seed):
    assert NoiseKey(seed).draw(0, 0, (4,)).isfinite().all()


def test_known_values():
    """So that frames stay what they were from one version to the next."""
    expected = torch.tensor([0.353538, 0.210592, -0.181922, -1.770631])
    torch.testing.assert_close(NoiseKey(42, 9, 0).draw(1, 0, (64,))[:4], expected, atol=1e-6, rtol=0)
