"""The similarity transform and the matrices of boxes and whole frames."""

from __future__ import annotations

import math

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.faces.align import (
    TEMPLATE,
    box_matrix,
    box_points,
    full_frame_matrix,
    similarity,
)
from lipforcing.faces.warp import invert, transform


def known(scale: float, angle: float, x: float, y: float) -> torch.Tensor:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[c, -s, x], [s, c, y]])


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (0.31, 0.7), (2.5, -2.9), (7.0, 1.6)])
def test_a_known_similarity_is_recovered(scale, angle):
    matrix = known(scale, angle, 40.0, -15.0)
    points = transform(invert(matrix), TEMPLATE)
    assert torch.allclose(similarity(points), matrix, atol=1e-4, rtol=1e-5)


def procrustes(points: torch.Tensor, template: torch.Tensor) -> torch.Tensor:
    """Textbook form by singular value decomposition, scale from the standard deviations (docs/model.md, Face crop)."""
    c1, c2 = points.mean(0), template.mean(0)
    p, q = points - c1, template - c2
    s1, s2 = p.std(), q.std()
    u, _, vt = torch.linalg.svd((p / s1).T @ (q / s2))
    flip = torch.diag(torch.tensor([1.0, torch.det(vt.T @ u.T).sign()]))
    rotation = vt.T @ flip @ u.T
    linear = s2 / s1 * rotation
    return torch.cat([linear, (c2 - linear @ c1)[:, None]], 1)


def test_distorted_and_mirrored_points_get_the_procrustes_solution():
    torch.manual_seed(1)
    points = torch.cat([torch.randn(20, 3, 2) * 40 + 200, TEMPLATE * torch.tensor([-1.0, 1.0]) + torch.zeros(1, 3, 2)])
    points[:10] = TEMPLATE + torch.randn(10, 3, 2) * 20
    result = similarity(points)
    for one, matrix in zip(points[:20], result):
        assert torch.allclose(matrix, procrustes(one, TEMPLATE), atol=2e-2, rtol=1e-3)
    assert (torch.det(result[:, :, :2]) > 0).all()  # a reflection would have a negative determinant


def test_full_frame_maps_edges_to_edges():
    edges = torch.tensor([[-0.5, -0.5], [99.5, 49.5]])
    assert torch.allclose(transform(full_frame_matrix(50, 100), edges), torch.tensor([[-0.5, -0.5], [419.5, 559.5]]))


def test_face_box_keeps_proportions_and_fills_the_expected_part():
    matrix = box_matrix(100, 50, 100 + 406 / 2, 50 + 551 / 2)
    corners = transform(matrix, torch.tensor([[100.0, 50.0], [100 + 406 / 2, 50 + 551 / 2]]))
    assert torch.allclose(corners, torch.tensor([[7.0, -60.5], [413.0, 490.5]]), atol=1e-3)
    assert matrix[0, 0] == matrix[1, 1]


def test_an_empty_box_is_refused():
    with pytest.raises(InputError, match="10,20,10,40"):
        box_matrix(10, 20, 10, 40)


def test_anchors_of_a_box_land_on_the_template():
    box = (30.0, 20.0, 90.0, 110.0)
    assert torch.allclose(transform(box_matrix(*box), box_points(*box)), TEMPLATE, atol=1e-3)
