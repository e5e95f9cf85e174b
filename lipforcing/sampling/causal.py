"""Few-step causal sampling, chunk by chunk (docs/model.md, Sampler)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from torch import Tensor

from ..models import Conditioning, Geometry, Past, Rolling, Text, TimeEmbedding, TimeTable, WanConfig, WanTransformer
from .flow import Denoiser, forward_process, velocity_to_x0
from .noise import NoiseKey
from .schedules import TWO_STEP


def denoise_chunk(
    denoise: Denoiser, noise: Tensor, sigmas: Sequence[float] = TWO_STEP, exit_step: int | None = None
) -> Tensor:
    """Clean latents of one chunk: every step predicts x0 and re-noises it with fresh noise to the next sigma.

    There is no guidance. Inference takes all steps; the rollout of self forcing leaves at a random one.

    Args:
        denoise: gives x0 of ``x_t`` at a sigma.
        noise: one draw per step [steps, B, 16, f, h, w]; the first is what the chunk starts from.
        sigmas: noise levels, decreasing, ending with 0.
        exit_step: step whose prediction is the result; None is the last.
    """
    x = noise[0]
    for step, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, sigma)
        if step == exit_step or sigma_next == 0:
            return x0
        x = forward_process(x0, noise[step + 1], sigma_next)
    raise ValueError(f"the schedule {tuple(sigmas)} does not end with 0")


class Student(Protocol):
    """The causal student as sampling needs it: an x0 denoiser that reads a past, and a writer of pasts."""

    config: WanConfig

    def geometry(self, latent: Tensor) -> Geometry:
        """Token grid for latents like ``latent``."""
        ...

    def embed_text(self, text: Tensor) -> Text:
        """See ``WanTransformer.embed_text``."""
        ...

    def embed_audio(self, features: Tensor) -> Tensor:
        """See ``WanTransformer.embed_audio``."""
        ...

    def embed_times(self, sigmas: Sequence[float], like: Tensor) -> TimeTable:
        """See ``WanTransformer.embed_times``."""
        ...

    def x0(self, x_t: Tensor, sigma: float, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Tensor:
        """Clean estimate [B, 16, f, h, w] of the noisy chunk ``x_t``; ``time`` is the embedding of ``sigma``."""
        ...

    def cache_write(self, x0: Tensor, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Past:
        """See ``WanTransformer.cache_write``."""
        ...


class NetworkStudent:
    """A ``WanTransformer`` as ``Student``: velocity becomes x0 here, so that no sampler asks which it is."""

    def __init__(self, network: WanTransformer) -> None:
        self.network = network
        self.config = network.config
        self.geometry = network.geometry
        self.embed_text = network.embed_text
        self.embed_audio = network.embed_audio
        self.embed_times = network.embed_times

    def x0(self, x_t: Tensor, sigma: float, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Tensor:
        return velocity_to_x0(x_t, self.network.forward_chunk(x_t, time, conditioning, window), sigma)

    def cache_write(self, x0: Tensor, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Past:
        return self.network.cache_write(x0, time, conditioning, window)


class CausalStream:
    """One run of the causal student, or several of equal length as a batch: its past, and what is constant for it.

    Call it for the clean estimate of the current chunk; call ``cache_write`` once with the finished chunk to move on.

    Args:
        student: see ``Student``.
        like: a latent [..., h, w] with the run's size, dtype and device.
        sigmas: the noise levels that will be asked for.
    """

    def __init__(self, student: Student, like: Tensor, sigmas: Sequence[float] = TWO_STEP) -> None:
        self.student = student
        self.geometry = student.geometry(like)
        self.times = student.embed_times((*sigmas, 0.0), like)
        self.past = Past()

    def __call__(self, x_t: Tensor, sigma: float, conditioning: Conditioning) -> Tensor:
        """x0 [B, 16, f, h, w] of the noisy chunk ``x_t`` at noise level ``sigma``."""
        return self.student.x0(x_t, sigma, self.times[sigma], conditioning, self._window(x_t))

    def cache_write(self, x0: Tensor, conditioning: Conditioning) -> None:
        """Make the finished chunk ``x0`` the past of the next one."""
        self.past = self.student.cache_write(x0, self.times[0.0], conditioning, self._window(x0))

    def embed_again(self, like: Tensor) -> None:
        """Embed the noise levels anew: chunks that are differentiated one by one must not share a graph."""
        self.times = self.student.embed_times(tuple(self.times), like)

    def _window(self, x: Tensor) -> Rolling:
        return Rolling(self.geometry, self.past, x.shape[2])


def sample_causal(
    stream: CausalStream, chunks: Iterable[Conditioning], noise: NoiseKey, sigmas: Sequence[float] = TWO_STEP
) -> Iterator[Tensor]:
    """Yield the clean latents [1, 16, 3, h, w] of chunk after chunk.

    A finished chunk is yielded before it is written to the cache, so that it is decoded and shown first, and the last
    chunk is never written.
    """
    previous: tuple[Tensor, Conditioning] | None = None
    for number, chunk in enumerate(chunks):
        if previous is not None:
            stream.cache_write(*previous)
        batch, _, *size = chunk.planes.shape
        draws = noise.draws(number, len(sigmas) - 1, (batch, stream.student.config.out_dim, *size)).to(chunk.planes)
        x0 = denoise_chunk(lambda x, sigma, chunk=chunk: stream(x, sigma, chunk), draws, sigmas)
        yield x0
        previous = x0, chunk
