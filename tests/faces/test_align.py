"""The similarity transform and the crop."""

from __future__ import annotations

import math

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.faces.align import (
    CROP_SIZE,
    TEMPLATE,
    box_matrix,
    box_points,
    centred_matrix,
    crop_faces,
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


def ramp(height: int, width: int) -> torch.Tensor:
    """uint8 [1, H, W, 3]: red counts columns, green rows."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)], -1).to(torch.uint8)[None]


def test_crop_holds_the_pixels_that_the_matrix_names():
    matrix = known(4.0, 0.2, 80.0, -60.0)
    crop = crop_faces(ramp(240, 250), matrix[None], CROP_SIZE)[0].add(1).mul(127.5)
    for x, y in [(150, 200), (260, 300), (210, 420)]:
        image_x, image_y = transform(invert(matrix), torch.tensor([[float(x), float(y)]]))[0]
        assert crop[0, y, x] == pytest.approx(float(image_x), abs=0.05)
        assert crop[1, y, x] == pytest.approx(float(image_y), abs=0.05)


def test_anchors_land_where_the_network_expects_them():
    eye = torch.tensor([[60.0, 50.0], [100.0, 52.0], [80.0, 72.0]])
    y, x = torch.meshgrid(torch.arange(140.0), torch.arange(160.0), indexing="ij")
    matrix = similarity(eye)
    at = transform(invert(matrix), TEMPLATE)  # where the template's points lie in the image
    for i, expected in enumerate([(116.16, 102.36), (396.06, 102.36), (256.11, 204.76)]):
        blob = torch.exp(-((x - at[i, 0]) ** 2 + (y - at[i, 1]) ** 2) / 8)
        frame = (blob * 255).round().to(torch.uint8)[None, :, :, None].expand(1, -1, -1, 3)
        seen = crop_faces(frame, matrix[None])[0, 0].add(1)
        seen = torch.where(seen > 0.4, seen, 0)  # the blob alone, not the grey outside the frame
        window = seen[: 320 if i == 2 else 220]
        rows, columns = torch.meshgrid(*(torch.arange(float(n)) for n in window.shape), indexing="ij")
        mid_x, mid_y = ((window * c).sum() / window.sum() for c in (columns, rows))
        assert (float(mid_x), float(mid_y)) == pytest.approx(expected, abs=0.4)


def test_outside_the_frame_is_grey_127():
    frames = torch.full((2, 20, 20, 3), 255, dtype=torch.uint8)
    far = torch.tensor([[1.0, 0.0, 5000.0], [0.0, 1.0, 0.0]])
    partly = torch.tensor([[1.0, 0.0, 200.0], [0.0, 1.0, 300.0]])
    crops = crop_faces(frames, torch.stack([far, partly]), CROP_SIZE)
    grey = 127 / 127.5 - 1
    assert torch.allclose(crops[0], torch.tensor(grey), atol=1e-6)
    assert torch.allclose(crops[1, :, :290], torch.tensor(grey), atol=1e-6)
    assert crops[1, 0, 310, 210] == 1


def test_a_face_much_larger_than_the_crop_does_not_alias():
    _, x = torch.meshgrid(torch.arange(560 * 3), torch.arange(420 * 3), indexing="ij")
    stripes = ((x % 3 == 1) * 255).to(torch.uint8)[None, :, :, None].expand(1, -1, -1, 3)
    matrix = torch.tensor([[1 / 3, 0.0, 0.1], [0.0, 1 / 3, 0.1]])
    inner = crop_faces(stripes, matrix[None], CROP_SIZE)[0, :, 10:-10, 10:-10].add(1).mul(127.5)
    assert (inner - 85).abs().max() < 1  # bilinear sampling alone would see nothing but the bright stripes


def test_small_crops_do_not_alias():
    torch.manual_seed(0)
    noise = torch.randint(0, 256, (1, 560, 420, 3), dtype=torch.uint8)
    small = crop_faces(noise, torch.eye(2, 3)[None], (32, 32))
    assert small.std() < 0.12  # the standard deviation of the noise is 0.58


def test_footage_that_is_a_crop_is_only_resized():
    frames = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    crops = crop_faces(frames, full_frame_matrix(96, 96).expand(2, 2, 3), (96, 96))
    assert torch.allclose(crops.add(1).mul(127.5), frames.permute(0, 3, 1, 2).float(), atol=1e-3)


def test_full_frame_maps_edges_to_edges():
    edges = torch.tensor([[-0.5, -0.5], [99.5, 49.5]])
    assert torch.allclose(transform(full_frame_matrix(50, 100), edges), torch.tensor([[-0.5, -0.5], [419.5, 559.5]]))


def test_centred_crop_lies_in_the_frame():
    for height, width in [(100, 300), (300, 100)]:
        corners = torch.tensor([[-0.5, -0.5], [419.5, 559.5]])
        at = transform(invert(centred_matrix(height, width)), corners)
        assert at.min() >= -0.501 and at[1, 0] <= width - 0.499 and at[1, 1] <= height - 0.499
        assert torch.allclose(at.mean(0), torch.tensor([(width - 1) / 2, (height - 1) / 2]), atol=1e-3)


def test_face_box_keeps_proportions_and_fills_the_expected_part():
    matrix = box_matrix(100, 50, 100 + 395 / 2, 50 + 507 / 2)
    corners = transform(matrix, torch.tensor([[100.0, 50.0], [100 + 395 / 2, 50 + 507 / 2]]))
    assert torch.allclose(corners, torch.tensor([[12.5, -35.5], [407.5, 471.5]]), atol=1e-3)
    assert matrix[0, 0] == matrix[1, 1]


def test_an_empty_box_is_refused():
    with pytest.raises(InputError, match="10,20,10,40"):
        box_matrix(10, 20, 10, 40)


def test_anchors_of_a_box_land_on_the_template():
    box = (30.0, 20.0, 90.0, 110.0)
    assert torch.allclose(transform(box_matrix(*box), box_points(*box)), TEMPLATE, atol=1e-3)
