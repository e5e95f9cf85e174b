"""Where recipes find their data and each other's results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ...tiny import family


@dataclass(frozen=True)
class Workshop:
    """The folder of one training of the family.

    Attributes:
        out: of logs and plots; ``data``, ``checkpoints`` and ``weights`` are in it.
        device: on which networks make data.
    """

    out: Path
    device: torch.device | str = "cpu"

    @property
    def data(self) -> Path:
        """Of cached data."""
        return self.out / "data"

    @property
    def checkpoints(self) -> Path:
        """Of interrupted runs."""
        return self.out / "checkpoints"

    @property
    def weights(self) -> Path:
        """Of results."""
        return self.out / "weights"

    def part(self, name: str) -> nn.Module:
        """A finished part of the family: from this workshop, else the one that comes with the package."""
        own = family.weights_path(name, self.weights).exists()
        return family.load(name, folder=self.weights if own else family.WEIGHTS)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block torch's own random numbers are those of ``seed``; after it, what they were to be."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield
