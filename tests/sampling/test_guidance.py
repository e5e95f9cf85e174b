"""Guidance and the teacher's sampler."""

from __future__ import annotations

from dataclasses import replace

import torch

from lipforcing.sampling.flow import forward_process
from lipforcing.sampling.guidance import Teacher, bidirectional, guide, guided, sample_euler
from lipforcing.sampling.schedules import teacher_grid
from tests.models.helpers import causal_oracle, random_inputs, small_model
from tests.models.oracle import bidirectional as oracle_bidirectional


def test_euler_on_a_straight_path_lands_on_x0():
    x0, eps = torch.randn(2, 4), torch.randn(2, 4)
    seen = []
    grid = teacher_grid(10).tolist()
    start = forward_process(x0, eps, grid[0])
    end = sample_euler(lambda x, t: x0, start, grid, callback=lambda step, x: seen.append(step))
    torch.testing.assert_close(end, x0)
    assert seen == list(range(10))


def test_euler_accumulates_in_float32():
    """Fifty small steps of a path in bfloat16 are not rounded one by one."""
    grid = teacher_grid(50).tolist()
    start = torch.randn(4000)

    def denoise(x, t):
        return 0.5 * x

    exact = sample_euler(denoise, start, grid)
    half = sample_euler(denoise, start.bfloat16(), grid)
    assert half.dtype == torch.bfloat16
    error = (half.float() - exact).abs() / exact.abs().clamp(min=1e-3)
    assert error.mean() < 0.004  # rounding the path itself after every step gives several times that


def test_guidance_scale_one_is_the_conditional_branch():
    positive, negative = torch.randn(3), torch.randn(3)
    assert torch.allclose(guide(positive, negative, 1.0), positive)

    def never(x, t):
        raise AssertionError("the negative branch is not needed")

    x = torch.randn(5)
    assert torch.equal(guided(lambda x, t: x + 1, never, 1.0)(x, 0.7), x + 1)


def test_guidance_by_time_and_place():
    x = torch.zeros(2, 3)
    positive, negative = (lambda x, t: x + 1), (lambda x, t: x - 1)
    torch.testing.assert_close(guided(positive, negative, 4.5)(x, 0.7), x + 1 + 3.5 * 2)
    windowed = guided(positive, negative, lambda t: 4.5 if 0.5 < t < 0.9 else 1.0)
    assert windowed(x, 0.95).unique().tolist() == [1] and windowed(x, 0.7).unique().tolist() == [8]
    mask = torch.tensor([1.0, 0.0, 0.5])
    assert guided(positive, negative, 4.5, mask)(x, 0.7)[0].tolist() == [8, 1, 4.5]


@torch.no_grad()
def test_teacher_as_a_denoiser():
    model = small_model()
    inputs = random_inputs(model.config, 6)
    x = torch.randn(1, 16, 6, 4, 6)
    run = causal_oracle(model, inputs)
    v = oracle_bidirectional(run.oracle, x, torch.full((1, 6), 0.6), run.clip)
    x0 = bidirectional(model, model.prepare(inputs))(x, 0.6)
    torch.testing.assert_close(x0, x - 0.6 * v, atol=2e-5, rtol=0)


@torch.no_grad()
def test_what_guidance_strengthens():
    """Text and audio, or audio alone; on the whole picture, or in the mouth alone."""
    model = small_model()
    inputs = random_inputs(model.config, 3)
    x, empty = torch.randn(1, 16, 3, 4, 6), torch.randn(1, 1, model.config.text_dim)

    def alone(inputs):
        return bidirectional(model, model.prepare(inputs))(x, 0.6)

    silent = replace(inputs, audio=torch.zeros_like(inputs.audio))
    positive = alone(inputs)
    for teacher, negative in (
        (Teacher(model, inputs), alone(silent)),
        (Teacher(model, inputs, empty), alone(replace(silent, text=empty))),
    ):
        assert torch.equal(teacher.guided(1.0)(x, 0.6), positive)
        everywhere = teacher.guided(lambda t: 3.0 * (t > 0.5))(x, 0.6)
        torch.testing.assert_close(everywhere, positive + 2 * (positive - negative))
        mouth, mask = teacher.guided(3.0, mouth_only=True)(x, 0.6), inputs.mouth_mask.bool()
        torch.testing.assert_close(mouth, torch.where(mask, everywhere, positive))
        assert not torch.allclose(everywhere, positive)
