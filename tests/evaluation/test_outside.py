"""What changed outside of the mouth."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.outside import CLEAR, Outside
from lipforcing.faces.align import box_matrix, full_frame_matrix
from lipforcing.faces.mask import blend_mask
from lipforcing.media import ImagePicture

from .pictures import noise


def compared(result: torch.Tensor, reference: torch.Tensor, matrix: torch.Tensor, margin: float = CLEAR) -> Outside:
    outside = Outside(margin)
    outside.update(ImagePicture(result), ImagePicture(reference), [matrix])
    return outside


def test_only_what_lies_clear_of_the_blend_counts():
    (picture,) = noise(1)
    made = torch.where((blend_mask() > 0)[..., None], 255 - picture, picture)
    whole = full_frame_matrix(256, 256)
    found = compared(made, picture, whole)
    assert found.share == 0 and found.psnr == 100 and found.samples > 3 * 256 * 60
    assert compared(made, picture, full_frame_matrix(256, 256) + torch.tensor([[0, 0, 0], [0, 0, 40.0]])).share > 0.01
    near = (torch.nn.functional.max_pool2d((blend_mask() > 0).float()[None], 9, 1, 4)[0] > 0)[..., None]
    assert compared(torch.where(near, picture + 9, picture), picture, whole).share == 0
    assert compared(torch.where(near, picture + 9, picture), picture, whole, margin=2).share > 0


def test_shares_and_decibels_are_those_of_known_errors():
    picture = torch.full((100, 200, 3), 90, dtype=torch.uint8)
    made = picture.clone()
    made[:, 150:] += 10
    matrix = box_matrix(10, 10, 50, 60)
    found = compared(made, picture, matrix)
    covered = 20_000 - found.samples / 3
    assert 500 < covered < 4000 and found.share == pytest.approx(5000 / (20_000 - covered))
    assert found.psnr == pytest.approx(10 * torch.log10(torch.tensor(255**2 / (100 * found.share))).item(), abs=1e-3)
    assert Outside().share is None and Outside().psnr is None
