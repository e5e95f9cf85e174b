"""Guided sampling of the bidirectional teacher (docs/model.md, Guidance)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from ..models import Conditioning, Inputs, WanTransformer
from .flow import Denoiser, velocity_to_x0


def bidirectional(network: WanTransformer, conditioning: Conditioning) -> Denoiser:
    """The network over a whole clip as a denoiser."""
    frames = conditioning.planes.shape[2]
    geometry = network.geometry(conditioning.planes, frames)

    def denoise(x_t: Tensor, t: float) -> Tensor:
        level = torch.full((x_t.shape[0],), t, dtype=torch.float64)
        return velocity_to_x0(x_t, network(x_t, level, conditioning, geometry), t)

    return denoise


def guide(x0_positive: Tensor, x0_negative: Tensor, scale: float | Tensor) -> Tensor:
    """Classifier-free guidance in x0 space: ``x0+ + (s - 1)(x0+ - x0-)``; 1 is no guidance.

    ``scale`` is a number, or a tensor that broadcasts, such as a scale per position.
    """
    return x0_positive + (scale - 1) * (x0_positive - x0_negative)


def guided(
    positive: Denoiser,
    negative: Denoiser,
    scale: float | Callable[[float], float],
    mask: Tensor | None = None,
) -> Denoiser:
    """A denoiser that runs both branches and guides.

    Args:
        positive, negative: with and without what guidance is to strengthen.
        scale: a constant, or a function of t.
        mask: limits guidance to where it is 1; broadcasts against x0.
    """

    def denoise(x_t: Tensor, t: float) -> Tensor:
        s = scale(t) if callable(scale) else scale
        if s == 1:
            return positive(x_t, t)
        return guide(positive(x_t, t), negative(x_t, t), s if mask is None else 1 + (s - 1) * mask)

    return denoise


class Teacher:
    """The bidirectional network over a whole clip, with its conditions and without what guidance strengthens.

    Args:
        network: the teacher.
        inputs: of the clip.
        empty: embedding of the empty prompt [1, n, text_dim], which the negative side has in place of the text; None
            keeps the text and drops the audio alone, which costs less fidelity for the same sync.
    """

    def __init__(self, network: WanTransformer, inputs: Inputs, empty: Tensor | None = None) -> None:
        text = inputs.text if empty is None else empty.expand(len(inputs.text), -1, -1)
        without = replace(inputs, audio=torch.zeros_like(inputs.audio), text=text)
        self.positive = bidirectional(network, network.prepare(inputs))
        self.negative = bidirectional(network, network.prepare(without))
        self._mouth = inputs.mouth_mask

    def guided(self, scale: float | Callable[[float], float], mouth_only: bool = False) -> Denoiser:
        """The teacher with guidance of a scale, or of a function of t such as the sync window; see ``guided``.

        ``mouth_only`` guides inside the mouth mask alone.
        """
        return guided(self.positive, self.negative, scale, self._mouth if mouth_only else None)


def sample_euler(
    denoise: Denoiser,
    x: Tensor,
    times: Sequence[float],
    callback: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Euler steps of the flow ODE ``dx/dt = (x - x0) / t`` along decreasing ``times``, from ``x`` at ``times[0]``.

    The path is accumulated in float32 whatever the dtype of ``x``, which is what the denoiser gets and what is
    returned. ``callback(step, x0)`` is called with every step's prediction of the clean sample.
    """
    path = x.float()
    for step, (t, t_next) in enumerate(pairwise(times)):
        x0 = denoise(path.to(x.dtype), t)
        if callback is not None:
            callback(step, x0)
        d = (path - x0) / t
        path = path + (t_next - t) * d
    return path.to(x.dtype)
