"""The step across the mask's rim."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.seam import REACH, Seam, rim
from lipforcing.faces.mask import blend_mask

from .pictures import MOUTH, brighter_mouth, noise


def step(result: torch.Tensor, reference: torch.Tensor) -> float:
    seam = Seam()
    seam.update(result, reference)
    return seam.levels


def test_a_brighter_mouth_has_a_seam_as_high_as_it_is_brighter():
    picture = noise(2)
    assert step(picture, picture) == 0 and Seam().levels is None
    assert step(brighter_mouth(picture, 12), picture) == pytest.approx(12, abs=0.5)
    blended = (picture + 12 * blend_mask()[..., None]).round().to(torch.uint8)
    assert step(blended, picture) == pytest.approx(12, abs=1)
    fading = torch.zeros(256, 256)
    fading[150:210, 90:166] = 40  # in the middle of the mouth, far from the rim
    assert step((picture + fading[..., None]).clamp(max=255).to(torch.uint8), picture) == 0


def test_a_brighter_picture_and_noise_have_none():
    picture = noise(2)
    assert step(picture + 12, picture) == pytest.approx(0, abs=1e-4)
    grain = torch.randint(-3, 4, picture.shape, generator=torch.Generator().manual_seed(1))
    assert step((picture + grain).to(torch.uint8), picture) < 1


def test_the_rim_is_all_around_and_its_sides_lie_on_their_sides():
    inner, outer = rim()
    assert MOUTH.flatten()[inner].all() and not MOUTH.flatten()[outer].any()
    weights = blend_mask().flatten()
    assert (weights[inner] > 0.99).float().mean() > 0.9 and (weights[outer] < 0.01).float().mean() > 0.9
    places = torch.stack([inner // 256, inner % 256], 1).float()
    apart = (places - torch.stack([outer // 256, outer % 256], 1)).norm(dim=1)
    assert apart.median() == pytest.approx(2 * REACH, abs=2)
    middle = torch.tensor([170.0, 128.0])
    angles = torch.atan2(*(places - middle).T).sort().values.diff()
    assert angles.max() < 0.5 and len(inner) > 150
