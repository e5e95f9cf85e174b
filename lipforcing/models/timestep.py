"""The network's sense of noise level (docs/model.md, Time embedding)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TimeEmbedding:
    """A noise level as blocks and head take it.

    Attributes:
        embedding: [B or 1, f or 1, dim], for the head.
        six: [B or 1, f or 1, 6, dim], its projection for the blocks: shift, scale, gate, twice.
    """

    embedding: Tensor
    six: Tensor

    def repeated(self, frames: int) -> TimeEmbedding:
        """The same level on each of ``frames`` latent frames."""
        return TimeEmbedding(self.embedding.expand(-1, frames, -1), self.six.expand(-1, frames, -1, -1))

    def then(self, other: TimeEmbedding) -> TimeEmbedding:
        """This embedding's latent frames, then those of another."""
        return TimeEmbedding(torch.cat((self.embedding, other.embedding), 1), torch.cat((self.six, other.six), 1))


TimeTable = Mapping[float, TimeEmbedding]  # the few levels of a run by sigma, computed once


def timestep_embedding(timestep: Tensor, dim: int) -> Tensor:
    """Sinusoids [..., dim] of ``timestep`` [...] (0 to 999): all cosines, then all sines; float64 on the CPU."""
    half = dim // 2
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float64) / half)
    angles = timestep.cpu().double()[..., None] * frequencies  # in this order: not every device has float64
    return torch.cat((angles.cos(), angles.sin()), dim=-1)
