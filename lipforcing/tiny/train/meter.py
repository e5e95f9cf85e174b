"""Training of the mouth meter on drawn faces."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..meter import MouthMeter
from .data import pixels, random_clips
from .loop import Recipe, train

RECIPE = Recipe("meter", iterations=1200, learning_rate=2e-3, seed=41)
PEOPLE, FRAMES, BATCH = 500, 17, 32


def run(out: Path) -> MouthMeter:
    """Regress the mouth track from single pictures, some of them blurred and noisy."""
    torch.manual_seed(RECIPE.seed)
    clips = list(tqdm(random_clips(RECIPE.seed, PEOPLE, FRAMES), total=PEOPLE, desc="faces", mininterval=5))
    frames, mouths = (torch.stack(parts).flatten(0, 1) for parts in zip(*clips))
    meter = MouthMeter()
    generator = torch.Generator().manual_seed(RECIPE.seed)

    def degrade(crop: Tensor) -> Tensor:
        strength = torch.rand((), generator=generator).item()
        if strength > 0.5:
            size = int(128 * (1.5 - strength))
            crop = F.interpolate(F.interpolate(crop, (size, size), mode="area"), (128, 128), mode="bilinear")
        return crop + 0.04 * torch.rand((), generator=generator) * torch.randn(crop.shape, generator=generator)

    def step(_: int) -> dict[str, Tensor]:
        rows = torch.randint(len(frames), (BATCH,), generator=generator)
        crops = pixels(frames[rows]).transpose(0, 1)
        return {"loss": F.mse_loss(meter(degrade(crops)), mouths[rows])}

    return train(meter, step, RECIPE, out)
