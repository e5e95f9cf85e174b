"""The four probes of a teacher on a clip: algorithms over denoisers (docs/training.md, Analysis of a teacher)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..sampling.flow import Denoiser, forward_process, x0_to_eps
from ..sampling.guidance import guide, sample_euler

PLAIN, GUIDED = 1.0, 4.5  # guidance scales of the factorial (paper)
SMALL_NOISE = 0.01  # what the network's answer to guidance is compared with


@dataclass(frozen=True, eq=False)
class Estimate:
    """A clean estimate that a probe made.

    Attributes:
        probe: ``trajectory``, ``two-step`` or ``fresh noise``.
        first, second: guidance before it and of it; those of a trajectory are equal, a single call has no first.
        step: of the grid.
        latents: x0 [1, 16, f, h, w].
    """

    probe: str
    first: float
    second: float
    step: int
    latents: Tensor


Guided = Callable[[float], Denoiser]
"""The teacher with guidance of a scale."""


def trajectory(teacher: Guided, noise: Tensor, grid: Sequence[float], scale: float, steps: Sequence[int]):
    """The clean estimate at some steps of a whole deterministic trajectory with constant guidance."""
    seen: list[Estimate] = []

    def keep(step: int, x0: Tensor) -> None:
        if step in steps:
            seen.append(Estimate("trajectory", scale, scale, step, x0))

    sample_euler(teacher(scale), grid[0] * noise, grid, keep)
    return seen


def two_steps(
    positive: Denoiser, negative: Denoiser, noise: Tensor, grid: Sequence[float], landings: Sequence[int]
) -> Iterator[Estimate]:
    """The 2 x 2 factorial: guidance of the first step at the grid's start, and of the second where it lands.

    The jump keeps the noise that the first estimate implies: ``eps = (x - (1 - t0) x0) / t0``.
    """
    start, t0 = grid[0] * noise, grid[0]
    first = _both(positive, negative, start, t0)
    for landing in landings:
        t = grid[landing]
        for scale, x0 in first.items():
            x = forward_process(x0, x0_to_eps(start, x0, t0), t) if landing else start
            for second, estimate in _both(positive, negative, x, t).items():
                yield Estimate("two-step", scale, second, landing, estimate)


def fresh_noise(
    positive: Denoiser, negative: Denoiser, truth: Tensor, noise: Tensor, grid: Sequence[float], steps: Sequence[int]
) -> Iterator[Estimate]:
    """Single calls on the noised truth, with the same noise at every step."""
    for step in steps:
        for scale, x0 in _both(positive, negative, forward_process(truth, noise, grid[step]), grid[step]).items():
            yield Estimate("fresh noise", scale, scale, step, x0)


def nudged(positive: Denoiser, truth: Tensor, noise: Tensor, nudge: Tensor, t: float) -> Tensor:
    """The control of the spatial probe: the unguided estimate after a little more noise."""
    return positive(forward_process(truth, noise, t) + SMALL_NOISE * nudge, t)


def _both(positive: Denoiser, negative: Denoiser, x: Tensor, t: float) -> dict[float, Tensor]:
    """Estimates of one call with and without conditions, for both scales."""
    plus = positive(x, t)
    return {PLAIN: plus, GUIDED: guide(plus, negative(x, t), GUIDED)}
