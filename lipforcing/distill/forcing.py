"""How a causal student is run in training, chunk by chunk through the same cache as at inference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ..models import Conditioning
from ..sampling.causal import CausalStream, denoise_chunk
from ..sampling.flow import forward_process


def self_forcing(
    stream: CausalStream,
    chunks: Iterable[Conditioning],
    noise: Iterable[Tensor],
    sigmas: Sequence[float],
    exit_step: int,
) -> Iterator[Tensor]:
    """The student's own rollout: every chunk is denoised up to ``exit_step`` after the student's own past.

    Gradient flows through the prediction at the exit step of each chunk alone: not through earlier steps, not through
    what is kept of a chunk, not from one chunk to another (docs/model.md, Self forcing). A prediction can be
    differentiated before the next one is asked for, if ``chunks`` are prepared one by one, too.

    Args:
        stream: a fresh one.
        chunks: conditions of chunk after chunk.
        noise: per chunk one draw per step [steps, B, 16, 3, h, w].
        sigmas: noise levels, ending with 0.
        exit_step: the same for all chunks.

    Yields:
        x0 [B, 16, 3, h, w] of chunk after chunk.
    """
    training = torch.is_grad_enabled()
    for chunk, draws in zip(chunks, noise):

        def denoise(x_t: Tensor, sigma: float, chunk: Conditioning = chunk) -> Tensor:
            with torch.set_grad_enabled(training and sigma == sigmas[exit_step]):
                return stream(x_t, sigma, chunk)

        stream.embed_again(draws)
        x0 = denoise_chunk(denoise, draws, sigmas, exit_step)
        yield x0
        with torch.no_grad():
            stream.cache_write(x0.detach(), chunk)


def diffusion_forcing(
    stream: CausalStream, chunks: Iterable[Conditioning], clean: Iterable[Tensor], noise: Iterable[Tensor], sigma: float
) -> Iterator[Tensor]:
    """Predictions of noised real chunks after a past of real chunks.

    Args:
        stream: a fresh one.
        chunks: conditions of chunk after chunk.
        clean, noise: per chunk [B, 16, 3, h, w].
        sigma: noise level, one that ``stream`` knows.

    Yields:
        x0 [B, 16, 3, h, w] of chunk after chunk.
    """
    for chunk, x0, eps in zip(chunks, clean, noise):
        stream.embed_again(eps)
        yield stream(forward_process(x0, eps, sigma), sigma, chunk)
        with torch.no_grad():
            stream.cache_write(x0, chunk)
