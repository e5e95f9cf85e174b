"""Guided sampling of the bidirectional teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from .flow import velocity_to_x0, x0_to_velocity

VelocityModel = Callable[[Tensor, float], Tensor]


def guide(x0_positive: Tensor, x0_negative: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance in x0 space: ``x0+ + (s - 1)(x0+ - x0-)``; 1 is no guidance."""
    return x0_positive + (scale - 1) * (x0_positive - x0_negative)


def guided_velocity(positive: VelocityModel, negative: VelocityModel, scale: float) -> VelocityModel:
    """A velocity model that runs both branches and guides in x0 space."""

    def model(x_t: Tensor, t: float) -> Tensor:
        x0 = guide(velocity_to_x0(x_t, positive(x_t, t), t), velocity_to_x0(x_t, negative(x_t, t), t), scale)
        return x0_to_velocity(x_t, x0, t)

    return model


def sample_euler(
    model: VelocityModel,
    x: Tensor,
    times: Sequence[float],
    callback: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Euler steps of the flow ODE ``dx/dt = v`` along decreasing ``times``, from noise ``x`` at ``times[0]``.

    ``callback(step, x0)`` is called with every step's prediction of the clean sample.
    """
    for step, (t, t_next) in enumerate(pairwise(times)):
        v = model(x, t)
        if callback is not None:
            callback(step, velocity_to_x0(x, v, t))
        x = x + (t_next - t) * v
    return x
