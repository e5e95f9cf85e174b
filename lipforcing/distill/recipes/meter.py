"""Training of the mouth meter on drawn faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...tiny.meter import MouthMeter
from ..parallel import Network
from ..recipe import Recipe
from ..trainer import Batch
from .data import pixels, random_faces
from .workshop import Workshop, seeded


@dataclass(frozen=True)
class MeterRecipe(Recipe):
    """``people``, ``frames``: clips that the meter learns from, and their length."""

    people: int = 500
    frames: int = 17


RECIPE = MeterRecipe("meter", iterations=1200, learning_rate=2e-3, seed=41, batch=32)


class MeterTask:
    """Regress the mouth track from single pictures, some of them blurred and noisy."""

    made_of: Mapping = {}

    def __init__(self, recipe: MeterRecipe, workshop: Workshop) -> None:
        self.recipe, self.workshop = recipe, workshop
        self.networks = {"meter": Network(MouthMeter, self.first_weights)}

    @cached_property
    def pool(self) -> tuple[Tensor, Tensor]:
        """Pictures uint8 [N, 128, 128, 3] and their mouths [N, 5]."""
        recipe = self.recipe
        faces = random_faces(recipe.seed, recipe.people, recipe.frames, self.workshop.data)
        return faces[0].flatten(0, 1), faces[1].flatten(0, 1)

    def first_weights(self) -> Mapping[str, Tensor]:
        with seeded(self.recipe.seed):
            return MouthMeter().state_dict()

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Degraded crops [B, 3, 128, 128] and their mouths [B, 5]."""
        frames, mouths = self.pool
        rows = torch.randint(len(frames), (self.recipe.batch,), generator=generator)
        return {"crops": degrade(pixels(frames[rows]).transpose(0, 1), generator), "mouths": mouths[rows]}

    def losses(
        self, step: int, batch: Batch, models: Mapping[str, nn.Module]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        yield "meter", {"loss": F.mse_loss(models["meter"](batch["crops"]), batch["mouths"])}


def degrade(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the time blurred, always a little noisy."""
    strength = torch.rand((), generator=generator).item()
    if strength > 0.5:
        size = int(128 * (1.5 - strength))
        crops = F.interpolate(F.interpolate(crops, (size, size), mode="area"), (128, 128), mode="bilinear")
    return crops + 0.04 * torch.rand((), generator=generator) * torch.randn(crops.shape, generator=generator)
