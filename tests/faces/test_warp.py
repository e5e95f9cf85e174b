"""Affine maps and sampling keep to one pixel convention."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lipforcing.faces.warp import bounds, compose, invert, resize_matrix, sample, shift_matrix, transform

TURN = torch.tensor([[0.9, -0.4, 3.0], [0.5, 1.1, -2.0]])


def ramps(height: int, width: int) -> torch.Tensor:
    """[2, H, W] whose pixel (x, y) holds (x, y): a sampled value says where it was taken."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y]).float()


def test_inverse_and_composition():
    points = torch.randn(7, 2) * 50
    assert torch.allclose(transform(invert(TURN), transform(TURN, points)), points, atol=1e-4)
    both = compose(shift_matrix(5, -1), TURN)
    assert torch.allclose(transform(both, points), transform(TURN, points) + torch.tensor([5.0, -1.0]), atol=1e-4)


def test_inverse_is_batched():
    matrices = torch.stack([TURN, shift_matrix(2, 3)])
    assert torch.allclose(invert(matrices)[1], shift_matrix(-2, -3))


def test_sample_takes_the_pixel_that_the_matrix_names():
    other = shift_matrix(1, 2)
    result, moved = sample(
        torch.stack([ramps(40, 50)] * 2), torch.stack([TURN * 0.5 + shift_matrix(12, 9), other]), (20, 24)
    )
    assert torch.allclose(moved[:, :10, :10], ramps(40, 50)[:, 2:12, 1:11], atol=1e-4)
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    expected = transform(TURN * 0.5 + shift_matrix(12, 9), torch.stack([x, y], -1).view(-1, 2)).T.view(2, 20, 24)
    inside = (expected[0] > 0) & (expected[0] < 49) & (expected[1] > 0) & (expected[1] < 39)
    assert inside.sum() > 300
    assert (result - expected)[:, inside].abs().max() < 1e-3


def test_sample_is_zero_outside_and_exact_at_pixel_centres():
    image = torch.rand(3, 6, 5) + 1
    shifted = sample(image[None], shift_matrix(2, 1)[None], (6, 5))[0]
    assert torch.allclose(shifted[:, :5, :3], image[:, 1:, 2:], atol=1e-5)
    assert (shifted[:, 5] == 0).all() and (shifted[:, :, 3:] == 0).all()


@pytest.mark.parametrize("size", [(12, 30), (9, 7)])
def test_resize_matrix_says_what_interpolate_does(size):
    resized = F.interpolate(ramps(18, 21)[None], size=size, mode="bilinear", align_corners=False)[0]
    back = resize_matrix(size, (18, 21))
    y, x = torch.meshgrid(torch.arange(float(size[0])), torch.arange(float(size[1])), indexing="ij")
    expected = transform(back, torch.stack([x, y], -1).view(-1, 2)).T.view(2, *size)
    assert torch.allclose(resized[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-4)


def test_bounds_are_cut_to_the_image():
    points = torch.tensor([[-3.0, 4.2], [7.6, 30.0]])
    assert bounds(points, (20, 40)) == (0, 3, 10, 20)
    x0, _, x1, _ = bounds(points + 100, (20, 40))
    assert x1 <= x0
