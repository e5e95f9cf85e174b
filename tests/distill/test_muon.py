"""The optimizer: its update is the nearest semi-orthogonal matrix, roughly."""

from __future__ import annotations

import pytest
import torch

from lipforcing.distill import muon
from lipforcing.distill.muon import RMS, Muon, orthogonalise


@pytest.mark.parametrize("shape", [(24, 10), (10, 24), (3, 8, 12)])
def test_singular_values_become_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalise(matrix)
    assert found.shape == matrix.shape
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6 and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.cosine_similarity(found.flatten(), (u @ v).flatten(), dim=0) > 0.98  # the same directions


def test_weights_of_one_size_learn_together_as_they_do_alone(monkeypatch):
    """Kernels of convolutions as matrices; no more at once than what is stated."""
    generator = torch.Generator().manual_seed(4)
    shapes = [(6, 4, 3, 3), (6, 36), (6, 4, 3, 3), (6, 4, 3, 3), (9, 5)]
    gradients = [torch.randn(shape, generator=generator) for shape in shapes]

    def stepped(groups):
        weights = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient.clone()
        for group in groups:
            Muon([weights[i] for i in group], lr=0.1).step()
        return weights

    alone = stepped([[i] for i in range(len(shapes))])
    monkeypatch.setattr(muon, "TOGETHER", 2 * 216)
    assert [len(found) for found in muon.alike(alone)] == [2, 1, 1, 1]
    for one, other in zip(alone, stepped([range(len(shapes))])):
        torch.testing.assert_close(one, other)
    step = (alone[0] - (1 - 0.1 * 0.01)).flatten(1)  # less the decay
    torch.testing.assert_close(step, -0.1 * RMS * 6 * orthogonalise(gradients[0].flatten(1)))


def test_a_step_has_the_size_that_is_stated():
    weight = torch.nn.Parameter(torch.zeros(16, 16))
    weight.grad = 1e-4 * torch.randn(16, 16, generator=torch.Generator().manual_seed(2))  # its size does not matter
    Muon([weight], lr=0.1).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.1 * RMS, rel=0.15)


def test_it_goes_downhill():
    generator = torch.Generator().manual_seed(3)
    target = torch.randn(12, 6, generator=generator)
    weight = torch.nn.Parameter(torch.randn(12, 6, generator=generator))
    optimizer = Muon([weight], lr=0.1)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        optimizer.zero_grad()
        (weight - target).square().mean().backward()
        optimizer.step()
    assert (weight - target).square().mean() < 0.02
