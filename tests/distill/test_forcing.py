"""Rollouts in training: the predictions of the oracle, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from lipforcing.distill.forcing import diffusion_forcing, self_forcing
from tests.models.helpers import SIGMAS, causal_oracle, random_inputs, random_noise, small_model, spans, stream_of

LATENTS = 12
LIMIT = {"atol": 2e-5, "rtol": 0}


class Checkpointed(torch.nn.Module):
    """A block whose activations are computed again in the backward pass."""

    def __init__(self, block) -> None:
        super().__init__()
        self.block = block
        self.keys_values, self.text_keys_values = block.keys_values, block.text_keys_values

    def forward(self, *args):
        return checkpoint(self.block, *args, use_reentrant=False)


def gradients(model, parameters, exit_step: int) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """Chunks of a self-forcing rollout over four chunks, and the gradient of a loss of all of them."""
    inputs = random_inputs(model.config, LATENTS)
    noise = random_noise(inputs)
    chunks = spans(model.prepare(inputs), LATENTS)
    x0 = list(self_forcing(stream_of(model, inputs), chunks, noise, SIGMAS, exit_step))
    torch.cat(x0).square().mean().backward()
    return x0, {name: p.grad for name, p in parameters.items()}


def oracle_gradients(model, exit_step: int) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """The same by brute force."""
    inputs = random_inputs(model.config, LATENTS)
    run = causal_oracle(model, inputs)
    chunks = []
    for draws in random_noise(inputs):
        x = draws[0]
        if exit_step == 1:
            with torch.no_grad():
                x = (1 - SIGMAS[1]) * run.x0(x, SIGMAS[0]) + SIGMAS[1] * draws[1]
        chunks.append(run.x0(x, SIGMAS[exit_step]))
        with torch.no_grad():
            run.write(chunks[-1].detach())
    torch.cat(chunks).square().mean().backward()
    return chunks, {name: p.grad for name, p in model.named_parameters()}


def largest_difference(ours: dict, theirs: dict) -> float:
    """Over all parameters, relative to each parameter's largest gradient."""
    assert ours.keys() == theirs.keys() and all(g is not None for g in (*ours.values(), *theirs.values()))
    return max(((ours[n] - g).abs().max() / g.abs().max().clamp(min=1e-6)).item() for n, g in theirs.items())


@pytest.mark.parametrize("exit_step", [0, 1])
def test_gradients_of_a_rollout(exit_step):
    """Plain against the oracle, and with activation checkpointing against plain."""
    model = small_model().requires_grad_()
    chunks, plain = gradients(model, dict(model.named_parameters()), exit_step)

    twin = small_model().requires_grad_()
    expected, brute = oracle_gradients(twin, exit_step)
    for ours, theirs in zip(chunks, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **LIMIT)
    assert largest_difference(plain, brute) < 1e-4

    again = small_model().requires_grad_()
    parameters = dict(again.named_parameters())
    for i, block in enumerate(again.blocks):
        again.blocks[i] = Checkpointed(block)
    _, recomputed = gradients(again, parameters, exit_step)
    assert largest_difference(recomputed, plain) <= 1e-6


@pytest.mark.parametrize("step", [0, 1])
def test_diffusion_forcing_predicts_real_chunks_after_real_chunks(step):
    """Gradient flows through each prediction, none through what is kept of the chunks before."""
    model = small_model().requires_grad_()
    inputs = random_inputs(model.config, LATENTS)
    clean = list(torch.randn(4, 1, 16, 3, 4, 6))
    noise = list(random_noise(inputs)[:, step])
    sigma = SIGMAS[step]
    run = causal_oracle(model, inputs)
    chunks = spans(model.prepare(inputs), LATENTS)
    found = list(diffusion_forcing(stream_of(model, inputs), chunks, clean, noise, sigma))
    for ours, x0, eps in zip(found, clean, noise, strict=True):
        with torch.no_grad():
            expected = run.x0((1 - sigma) * x0 + sigma * eps, sigma)
            run.write(x0)
        torch.testing.assert_close(ours, expected, **LIMIT)
    of_last = torch.autograd.grad(found[-1].sum(), model.blocks[-1].self_attn.k.weight, retain_graph=True)[0]
    model.zero_grad()
    alone = stream_of(model, inputs)
    with torch.no_grad():
        for x0, chunk in zip(clean[:-1], chunks):
            alone.cache_write(x0, chunk)
    (last,) = diffusion_forcing(alone, chunks[-1:], clean[-1:], noise[-1:], sigma)
    torch.testing.assert_close(torch.autograd.grad(last.sum(), model.blocks[-1].self_attn.k.weight)[0], of_last)
