"""Triangular filters on the mel scale."""

from __future__ import annotations

import pytest
import torch

from lipforcing.audio.mel import mel_points, triangles


def test_corners_lie_evenly_in_mel():
    points = mel_points(50, 7600, 30)
    assert points.shape == (32,) and points[0].item() == pytest.approx(50) and points[-1].item() == pytest.approx(7600)
    steps = (2595 * torch.log10(1 + points / 700)).diff()
    torch.testing.assert_close(steps, steps.mean().expand(31))
    assert mel_points(0, 2000, 1)[1].item() == pytest.approx(700 * ((1 + 2000 / 700) ** 0.5 - 1))  # the middle in mel


def test_a_triangle_rises_to_one_and_falls():
    filters = triangles(torch.tensor([0.0, 2.0, 6.0, 7.0]), torch.arange(8.0))
    assert filters.tolist() == [
        [0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0],
        [0, 0, 0, 0.25, 0.5, 0.75, 1, 0],
    ]


def test_neighbours_share_every_place_out():
    corners = mel_points(50, 7600, 20)
    filters = triangles(corners, torch.linspace(float(corners[1]), float(corners[-2]) - 1, 500, dtype=torch.float64))
    torch.testing.assert_close(filters.sum(0), torch.ones(500, dtype=torch.float64))


def test_a_side_without_width_counts_as_absent():
    """Corners that are rounded to whole bins may coincide."""
    filters = triangles(torch.tensor([1.0, 1.0, 3.0]), torch.arange(4.0))
    assert filters.isfinite().all() and filters[0].tolist() == [0, 1, 0.5, 0]
