"""Windows and pasts against the oracle: streaming, merged and static forwards, batches."""

from __future__ import annotations

import pytest
import torch

from lipforcing.models import Inputs, Merged, Past, Rolling, StaticRolling, static_pasts
from lipforcing.models.conditioning import join
from lipforcing.models.window import SLOTS
from lipforcing.sampling.causal import denoise_chunk
from lipforcing.sampling.flow import velocity_to_x0

from .helpers import SIGMAS, causal_oracle, random_inputs, random_noise, small_model, spans, stream_of
from .oracle import causal_samples

LATENTS = 12
LIMIT = {"atol": 2e-5, "rtol": 0}


def sampled(model, inputs: Inputs, noise, stream=None) -> list[torch.Tensor]:
    """All chunks of a clip."""
    stream = stream or stream_of(model, inputs)
    chunks = []
    for chunk, draws in zip(spans(model.prepare(inputs), inputs.masked_video.shape[2]), noise):
        chunks.append(denoise_chunk(lambda x, sigma, chunk=chunk: stream(x, sigma, chunk), draws, SIGMAS))
        stream.cache_write(chunks[-1], chunk)
    return chunks


@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_streaming_equals_the_oracle(batch):
    """Four chunks, so that every shape of the window occurs and the steady one twice; masks differ in the batch."""
    model = small_model()
    inputs = random_inputs(model.config, LATENTS, batch)
    noise = random_noise(inputs)
    expected = causal_samples(causal_oracle(model, inputs), noise, SIGMAS)
    for ours, theirs in zip(sampled(model, inputs, noise), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **LIMIT)


@torch.no_grad()
def test_merged_forward_equals_two():
    """The cache write of one chunk together with the first step of the next, for every shape of the window."""
    model = small_model()
    inputs = random_inputs(model.config, LATENTS, 2)
    noise = random_noise(inputs)
    chunks = spans(model.prepare(inputs), LATENTS)
    geometry = model.geometry(inputs.ref_latent)
    times = model.embed_times(SIGMAS, inputs.ref_latent)
    high, low, _ = SIGMAS
    expected = causal_samples(causal_oracle(model, inputs), noise, SIGMAS)
    past = Past()
    v = model.forward_chunk(noise[0, 0], times[high], chunks[0], Rolling(geometry, past))
    for c, chunk in enumerate(chunks):
        x = (1 - low) * velocity_to_x0(noise[c, 0], v, high) + low * noise[c, 1]
        x0 = velocity_to_x0(x, model.forward_chunk(x, times[low], chunk, Rolling(geometry, past)), low)
        torch.testing.assert_close(x0, expected[c], **LIMIT)
        if c + 1 < len(chunks):
            time = times[0.0].repeated(3).then(times[high].repeated(3))
            window = Merged(Rolling(geometry, past))
            v, past = model.forward_merged(x0, noise[c + 1, 0], time, join(chunk, chunks[c + 1]), window)


@torch.no_grad()
def test_static_window_takes_turns_in_two_buffers():
    """Equal results, and after the first chunks always the same addresses."""
    model = small_model()
    inputs = random_inputs(model.config, 15)
    noise = random_noise(inputs)
    expected = sampled(model, inputs, noise)
    chunks = spans(model.prepare(inputs), 15)
    geometry = model.geometry(inputs.ref_latent)
    times = model.embed_times(SIGMAS, inputs.ref_latent)
    here, there = static_pasts(model.config, geometry, 1, inputs.ref_latent)
    past, addresses = Past(), []
    for chunk, draws, x0 in zip(chunks, noise, expected):
        window = StaticRolling(geometry, past, into=there)
        ours = denoise_chunk(
            lambda x, s, c=chunk, w=window: velocity_to_x0(x, model.forward_chunk(x, times[s], c, w), s), draws, SIGMAS
        )
        torch.testing.assert_close(ours, x0, **LIMIT)
        past = model.cache_write(ours, times[0.0], chunk, window)
        here, there = there, here
        addresses.append(past.layer(0)[0].data_ptr())
    assert addresses == [addresses[0], addresses[1]] * 2 + [addresses[0]] and addresses[0] != addresses[1]


@torch.no_grad()
def test_a_past_is_never_written_to():
    model = small_model()
    inputs = random_inputs(model.config, 9)
    first, second, third = spans(model.prepare(inputs), 9)
    stream = stream_of(model, inputs)
    x = torch.randn(1, 16, 3, 4, 6)
    stream.cache_write(x, first)
    past = stream.past
    copies = [part.clone() for layer in past.layers for part in layer]
    once = stream(x, 0.999, second)
    assert torch.equal(once, stream(x, 0.999, second))
    stream.cache_write(x, second)
    stream.cache_write(x, third)
    assert all(torch.equal(a, b) for a, b in zip(copies, (part for layer in past.layers for part in layer)))


@torch.no_grad()
def test_memory_does_not_grow():
    model = small_model()
    inputs = random_inputs(model.config, 18)
    stream = stream_of(model, inputs)
    held = []
    for chunk in spans(model.prepare(inputs), 18):
        stream.cache_write(torch.randn(1, 16, 3, 4, 6), chunk)
        held.append(stream.past.layer(0)[0].shape[1])
    assert held == [18, *[SLOTS * 6] * 5] and stream.past.frames == SLOTS


def test_oversized_chunk_is_refused():
    geometry = small_model().geometry(torch.zeros(4, 6))
    with pytest.raises(ValueError, match="does not fit"):
        _ = Rolling(geometry, Past((), 3), 6).slots
    with pytest.raises(ValueError, match="made for 7 latent frames"):
        geometry.at(range(6, 8))


@torch.no_grad()
def test_batch_is_independent_runs():
    model = small_model()
    inputs = random_inputs(model.config, LATENTS, 2)
    noise = random_noise(inputs)
    both = sampled(model, inputs, noise)
    for row in range(2):
        alone = Inputs(*(value[row : row + 1] for value in vars(inputs).values()))
        for ours, theirs in zip(both, sampled(model, alone, noise[:, :, row : row + 1])):
            torch.testing.assert_close(ours[row : row + 1], theirs, atol=1e-5, rtol=0)
