"""Patches of features that the mesh cuts out around lips and eyes."""

from __future__ import annotations

import torch

from lipforcing.faces.face_mesh_network import LIPS, LIPS_LEVEL, POINTS, _cut, _patch_to_crop


def test_a_patch_that_lies_on_the_grid_is_the_grid_and_zero_beyond_it():
    features = torch.rand(1, 32, 48, 48)
    corner = torch.tensor([[[1.0, 0.0, -12.0], [0.0, 1.0, 160.0]]])  # 3 cells left of the map, 40 down
    patch = _cut(features, corner)
    assert torch.allclose(patch[..., :8, 3:], features[..., 40:, :13], atol=1e-5)
    assert (patch[..., :3] == 0).all() and (patch[..., 8:, :] == 0).all()
    half = torch.tensor([[[1.0, 0.0, -14.0], [0.0, 1.0, 80.0]]])  # half a cell out is out
    assert (_cut(features, half)[..., :4] == 0).all()


def test_a_patch_holds_its_part_with_a_margin_and_turns_with_it():
    places = torch.zeros(1, POINTS, 2)
    places[:, list(LIPS)] = torch.tensor([90.0, 100.0])
    left, right = LIPS_LEVEL
    places[0, left], places[0, right] = torch.tensor([90.0, 100.0]), torch.tensor([90.0, 148.0])
    places[0, LIPS[1]] = torch.tensor([74.0, 124.0])  # below the mouth, whose right corner is the lower one
    patch_to_crop = _patch_to_crop(places, LIPS, LIPS_LEVEL)[0]
    centre = patch_to_crop @ torch.tensor([32.0, 32.0, 1.0])
    assert torch.allclose(centre, torch.tensor([82.0, 124.0]), atol=1e-4)
    assert torch.allclose(patch_to_crop[:, 0] * 64, torch.tensor([0.0, 72.0]), atol=1e-4)
    assert torch.allclose(patch_to_crop[:, 1] * 64, torch.tensor([-24.0, 0.0]), atol=1e-4)
