"""Few-step causal sampling, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..models import CausalStream, Conditioning
from .flow import forward_process, velocity_to_x0
from .schedules import TWO_STEP


class ChunkNoise:
    """Gaussian noise drawn on the CPU, in the order it is used.

    Every chunk draws just what it needs, so equal seeds give equal frames whatever the clip length, device or dtype.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def like(self, x: Tensor) -> Tensor:
        """Standard normal noise of the shape, device and dtype of ``x``."""
        return torch.randn(x.shape, generator=self.generator).to(device=x.device, dtype=x.dtype)


@torch.no_grad()
def sample_causal(
    stream: CausalStream,
    chunks: Iterable[Conditioning],
    noise: ChunkNoise,
    sigmas: Sequence[float] = TWO_STEP,
) -> Iterator[Tensor]:
    """Yield the clean latents [B, 16, 3, h, w] of chunk after chunk (model-and-inference fact sheet, section 5).

    Every step predicts x0 and, but for the last, re-noises it with fresh noise to the next sigma; there is no guidance.
    A finished chunk is yielded before it is written to the cache, so that it is decoded and shown first, and the last
    chunk is never written.
    """
    previous: tuple[Tensor, Conditioning] | None = None
    for chunk in chunks:
        if previous is not None:
            stream.remember(*previous)
        x = noise.like(chunk.masked_video)
        for sigma, sigma_next in pairwise(sigmas):
            x0 = velocity_to_x0(x, stream(x, sigma, chunk), sigma)
            x = forward_process(x0, noise.like(x0), sigma_next) if sigma_next > 0 else x0
        yield x
        previous = x, chunk
