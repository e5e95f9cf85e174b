"""Noise as a function of what it is for, not of how much was drawn before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NoiseKey:
    """Whose noise it is: one run's.

    Nothing that is counted over a clip (cuts, persons, chunks of earlier runs) is in it, so what happens before a run,
    or beside it, leaves its noise alone.

    Attributes:
        seed: the user's; any integer.
        start: clock frame (25 per second, from the start of the clip) at which the run begins.
        rank: place of the run from left to right among those that begin at that frame.
    """

    seed: int
    start: int = 0
    rank: int = 0

    def draw(self, chunk: int, step: int, shape: Sequence[int]) -> Tensor:
        """Standard normal noise for a denoising step of a chunk, float32 on the CPU: equal on every device."""
        name = f"{self.seed} {self.start} {self.rank} {chunk} {step}"
        digest = hashlib.blake2b(name.encode("ascii"), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))
        return torch.randn(tuple(shape), generator=generator)

    def draws(self, chunk: int, steps: int, shape: Sequence[int]) -> Tensor:
        """The noise of all steps of a chunk, [steps, *shape]."""
        return torch.stack([self.draw(chunk, step, shape) for step in range(steps)])
