"""Noise levels as the network senses them (docs/model.md, Time embedding)."""

from __future__ import annotations

import math

import pytest
import torch

from lipforcing.models.timestep import TimeEmbedding, timestep_embedding


def test_cosines_come_first():
    found = timestep_embedding(torch.tensor([0.0, 769.0], dtype=torch.float64), 8)
    assert found.dtype == torch.float64 and found[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    angles = [769 * 10000 ** (-k / 4) for k in range(4)]
    assert found[1].tolist() == pytest.approx([*map(math.cos, angles), *map(math.sin, angles)])
    assert timestep_embedding(torch.zeros(2, 3), 8).shape == (2, 3, 8)


def test_large_angles_keep_their_digits():
    """In float32 the fastest angle of t = 999 would be off by 3e-5."""
    exact = math.cos(998.7)
    assert timestep_embedding(torch.tensor([998.7], dtype=torch.float64), 256)[0, 0].item() == pytest.approx(
        exact, abs=1e-12
    )


def test_levels_of_several_frames():
    low, high = (TimeEmbedding(torch.full((1, 1, 4), v), torch.full((1, 1, 6, 4), v)) for v in (0.0, 1.0))
    both = low.repeated(3).then(high.repeated(2))
    assert both.embedding[0, :, 0].tolist() == [0, 0, 0, 1, 1] and both.six.shape == (1, 5, 6, 4)
