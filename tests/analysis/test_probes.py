"""The probes, over a teacher that is known in closed form."""

from __future__ import annotations

import pytest
import torch

from lipforcing.analysis.probes import GUIDED, PLAIN, SMALL_NOISE, fresh_noise, nudged, trajectory, two_steps
from lipforcing.sampling.guidance import guided
from lipforcing.sampling.schedules import teacher_grid

GRID = teacher_grid(50).tolist()
NOISE = torch.randn(1, 16, 2, 3, 3, generator=torch.Generator().manual_seed(1))
TRUTH = torch.randn(1, 16, 2, 3, 3, generator=torch.Generator().manual_seed(2))


def positive(x, t):
    return 0.5 * x + t


def negative(x, t):
    return 0.25 * x


def strong(x, t):
    return positive(x, t) + 3.5 * (positive(x, t) - negative(x, t))


def test_a_trajectory_is_the_samplers():
    """Every asked estimate, guided all along: the path is walked by hand."""
    found = trajectory(lambda scale: guided(positive, negative, scale), NOISE, GRID, GUIDED, (0, 3))
    x = GRID[0] * NOISE
    for step in range(4):
        x0 = strong(x, GRID[step])
        if step in (0, 3):
            estimate = found.pop(0)
            assert (estimate.step, estimate.first, estimate.second) == (step, GUIDED, GUIDED)
            torch.testing.assert_close(estimate.latents, x0)
        eps = (x - (1 - GRID[step]) * x0) / GRID[step]
        x = (1 - GRID[step + 1]) * x0 + GRID[step + 1] * eps
    assert not found


def test_the_factorial():
    """Both scales of the first step at the start, both of the second where it lands; with the noise that is implied."""
    start = GRID[0] * NOISE
    found = {(e.step, e.first, e.second): e.latents for e in two_steps(positive, negative, NOISE, GRID, (0, 30))}
    assert len(found) == 8
    for (step, first, second), latents in found.items():
        x0 = (strong if first == GUIDED else positive)(start, GRID[0])
        eps = (start - (1 - GRID[0]) * x0) / GRID[0]
        x = start if step == 0 else (1 - GRID[30]) * x0 + GRID[30] * eps
        torch.testing.assert_close(latents, (strong if second == GUIDED else positive)(x, GRID[step]))


def test_fresh_noise_and_its_control():
    x = (1 - GRID[20]) * TRUTH + GRID[20] * NOISE
    plain, with_guidance = fresh_noise(positive, negative, TRUTH, NOISE, GRID, (20,))
    assert (plain.second, with_guidance.second) == (PLAIN, GUIDED)
    torch.testing.assert_close(plain.latents, positive(x, GRID[20]))
    torch.testing.assert_close(with_guidance.latents, strong(x, GRID[20]))
    control = nudged(positive, TRUTH, NOISE, torch.ones_like(NOISE), GRID[20])
    assert float((control - plain.latents).mean()) == pytest.approx(0.5 * SMALL_NOISE, rel=1e-3)
