"""The mouth meter's recipe; it runs in tests/cli/test_train.py."""

from __future__ import annotations

import torch

from lipforcing.distill.recipes.meter import degrade


def test_pictures_are_degraded():
    crops = torch.zeros(2, 3, 128, 128)
    crops[..., 64:] = 1.0
    found = [degrade(crops, torch.Generator().manual_seed(seed)) for seed in range(12)]
    steps = torch.tensor([float((one[..., 64] - one[..., 63]).mean()) for one in found])
    assert (steps < 0.8).any() and (steps > 0.9).any()  # some are blurred, some are not
    assert all(0 < float(one[..., :40].std()) < 0.05 for one in found)
