"""Sharpness of the mouth against the reference's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lipforcing.evaluation.sharpness import Sharpness, gradient_energy
from lipforcing.faces.align import box_matrix, full_frame_matrix
from lipforcing.faces.mask import blend_mask
from lipforcing.media import ImagePicture

SIZE = (256, 256)


def noise() -> torch.Tensor:
    return torch.randint(0, 256, (*SIZE, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def ratio(result: torch.Tensor, reference: torch.Tensor, matrix: torch.Tensor) -> float | None:
    sharpness = Sharpness()
    for _ in range(2):
        sharpness.update(ImagePicture(result), ImagePicture(reference), matrix)
    return sharpness.ratio


def test_only_what_is_generated_counts():
    whole = full_frame_matrix(*SIZE)
    picture = noise()
    blurred = F.avg_pool2d(picture.permute(2, 0, 1).float(), 3, 1, 1).permute(1, 2, 0).to(torch.uint8)
    inside = (blend_mask() == 1)[..., None]
    assert ratio(picture, picture, whole) == 1
    assert ratio(torch.where(inside, picture, blurred), picture, whole) == pytest.approx(1, abs=0.02)
    assert ratio(torch.where(inside, blurred, picture), picture, whole) < 0.15


def test_a_face_in_a_corner_is_measured_there():
    picture = noise()
    dull = picture.clone()
    dull[:150, :120] = 100
    corner, other = box_matrix(0, 0, 100, 130), box_matrix(140, 130, 240, 256)
    assert ratio(dull, picture, corner) == 0 and ratio(dull, picture, other) == 1
    assert ratio(picture, dull, corner) is None  # nothing to compare with
    assert ratio(picture, picture, box_matrix(900, 900, 950, 960)) is None  # outside of the picture


def test_energy_of_a_step():
    grey = torch.zeros(3, 4)
    grey[:, 2:] = 5
    assert gradient_energy(grey).tolist() == [[0, 25, 0, 0]] * 3
