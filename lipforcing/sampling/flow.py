"""Rectified-flow conversions (docs/model.md, Flow matching).

``x_t = (1 - t) x0 + t eps``, velocity ``v = eps - x0``; ``t`` in [0, 1], 0 is clean. Arithmetic is float32 at least,
results have the dtype of ``x_t``. ``t`` is a float or broadcasts against ``x_t``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, float], Tensor]
"""What samplers drive: (x_t, t) -> the clean estimate x0, of the shape and dtype of x_t."""

_SMALL = 1e-6  # keeps the inverse conversions finite where t (or 1 - t) is zero


def _float32(x: Tensor) -> Tensor:
    """At least float32."""
    return x if x.dtype == torch.float64 else x.float()


def _at_least(t: Tensor | float, low: float) -> Tensor | float:
    return t.clamp(min=low) if isinstance(t, Tensor) else max(t, low)


def forward_process(x0: Tensor, eps: Tensor, t: Tensor | float) -> Tensor:
    """Noisy sample at time ``t``: ``(1 - t) x0 + t eps``."""
    return ((1 - t) * _float32(x0) + t * _float32(eps)).to(x0.dtype)


def velocity(x0: Tensor, eps: Tensor) -> Tensor:
    """What the network predicts: ``eps - x0``."""
    return eps - x0


def velocity_to_x0(x_t: Tensor, v: Tensor, t: Tensor | float) -> Tensor:
    """``x0 = x_t - t v``."""
    return (_float32(x_t) - t * _float32(v)).to(x_t.dtype)


def velocity_to_eps(x_t: Tensor, v: Tensor, t: Tensor | float) -> Tensor:
    """``eps = x_t + (1 - t) v``."""
    return (_float32(x_t) + (1 - t) * _float32(v)).to(x_t.dtype)


def x0_to_velocity(x_t: Tensor, x0: Tensor, t: Tensor | float) -> Tensor:
    """``v = (x_t - x0) / t``."""
    return ((_float32(x_t) - _float32(x0)) / _at_least(t, _SMALL)).to(x_t.dtype)


def x0_to_eps(x_t: Tensor, x0: Tensor, t: Tensor | float) -> Tensor:
    """``eps = (x_t - (1 - t) x0) / t``."""
    return ((_float32(x_t) - (1 - t) * _float32(x0)) / _at_least(t, _SMALL)).to(x_t.dtype)


def eps_to_x0(x_t: Tensor, eps: Tensor, t: Tensor | float) -> Tensor:
    """``x0 = (x_t - t eps) / (1 - t)``."""
    return ((_float32(x_t) - t * _float32(eps)) / _at_least(1 - t, _SMALL)).to(x_t.dtype)
