"""Rotary positions against the oracle's complex numbers."""

from __future__ import annotations

import pytest
import torch

from lipforcing.models.rotary import Geometry, axis_dims

from .oracle import Oracle


def test_elements_of_a_head_are_shared_out():
    assert axis_dims(128) == (44, 42, 42) and axis_dims(32) == (12, 10, 10) and axis_dims(64) == (24, 20, 20)


@pytest.mark.parametrize("grid", [(2, 3), (4, 1)])
def test_rotation_is_that_of_the_oracle(grid):
    """Frame, row and column, each at its own position."""
    oracle = Oracle({"blocks.0.x": torch.zeros(1)}, 2)
    geometry = Geometry.of(20, 7, *grid, "cpu")
    x = torch.randn(2, 3 * geometry.tokens, 2, 20)
    expected = [oracle.rotate(part, 4 + i, grid) for i, part in enumerate(x.split(geometry.tokens, 1))]
    torch.testing.assert_close(geometry.at(range(4, 7))(x), torch.cat(expected, 1), atol=1e-5, rtol=0)


def test_scores_depend_on_distances_alone():
    geometry = Geometry.of(16, 7, 1, 1, "cpu")
    q, k = torch.randn(1, 1, 1, 16), torch.randn(1, 1, 1, 16)

    def score(a: int, b: int) -> float:
        return float((geometry.at(range(a, a + 1))(q) * geometry.at(range(b, b + 1))(k)).sum())

    assert score(5, 2) == pytest.approx(score(3, 0), abs=1e-5) != pytest.approx(score(3, 1), abs=1e-2)


def test_half_precision_is_rotated_in_float32():
    geometry = Geometry.of(32, 7, 4, 4, "cpu")
    x = torch.randn(1, 7 * 16, 1, 32).bfloat16()
    rotary = geometry.at(range(7))
    assert torch.equal(rotary(x), rotary(x.float()).bfloat16())


def test_positions_beyond_the_table_are_refused():
    with pytest.raises(ValueError, match=r"temporal position 7 was asked for.*made for 7 latent frames"):
        Geometry.of(12, 7, 2, 2, "cpu").at(range(5, 8))
