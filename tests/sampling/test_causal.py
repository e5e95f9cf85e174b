"""The few-step causal sampler against the reference's chunks, with the reference's noise."""

from __future__ import annotations

import pytest
import torch

from lipforcing.sampling.causal import CausalStream, denoise_chunk, sample_causal
from lipforcing.sampling.noise import NoiseKey
from tests.models.helpers import SIGMAS, inputs_of, model_of, random_inputs, small_model, spans, stream_of


def test_sampler_gives_the_references_chunks(golden, parity):
    data = golden("student_ar")
    model = model_of(data)
    inputs = inputs_of(data)
    sigmas = data["schedule/t_list"].tolist()
    stream = stream_of(model, inputs, sigmas)
    first = data["noise/init"].split(3, dim=2)
    for c, chunk in enumerate(spans(model.prepare(inputs), 3 * len(first))):
        noise = torch.cat((first[c][None], data["noise/renoise"][c]))
        x0 = denoise_chunk(lambda x, sigma, chunk=chunk: stream(x, sigma, chunk), noise, sigmas)
        parity("student_ar", "sampled chunk", x0, data[f"chunk{c}/x0"], 2e-5)
        stream.cache_write(x0, chunk)


def test_denoising_leaves_at_the_exit_step():
    """The prediction of that very step, and no call after it."""
    asked = []

    def denoise(x, sigma):
        asked.append(sigma)
        return x + sigma

    noise = torch.randn(3, 4)
    sigmas = (0.9, 0.5, 0.2, 0.0)
    assert torch.equal(denoise_chunk(denoise, noise, sigmas, 0), noise[0] + 0.9)
    second = 0.5 * (noise[0] + 0.9) + 0.5 * noise[1]
    torch.testing.assert_close(denoise_chunk(denoise, noise, sigmas, 1), second + 0.5)
    assert asked == [0.9, 0.9, 0.5]
    asked.clear()
    denoise_chunk(denoise, noise, sigmas)
    assert asked == [0.9, 0.5, 0.2]
    with pytest.raises(ValueError, match="end with 0"):
        denoise_chunk(denoise, noise, (0.9, 0.5))


@torch.no_grad()
def test_chunks_come_one_by_one_and_the_last_is_not_written():
    """A chunk is given out before the next one's conditions are asked for, and before it is written to the cache."""
    model = small_model()
    inputs = random_inputs(model.config, 9)
    events = []

    class Stream(CausalStream):
        def cache_write(self, x0, chunk):
            events.append("write")
            super().cache_write(x0, chunk)

    def chunks():
        for c, chunk in enumerate(spans(model.prepare(inputs), 9)):
            events.append(f"asked {c}")
            yield chunk

    stream = Stream(stream_of(model, inputs).student, inputs.ref_latent)
    for c, _ in enumerate(sample_causal(stream, chunks(), NoiseKey(0))):
        events.append(f"given {c}")
    assert events == ["asked 0", "given 0", "asked 1", "write", "given 1", "asked 2", "write", "given 2"]


@torch.no_grad()
def test_same_key_gives_same_frames_whatever_follows():
    model = small_model()
    inputs = random_inputs(model.config, 12)
    chunks = spans(model.prepare(inputs), 12)

    def run(count, key):
        return list(sample_causal(stream_of(model, inputs), chunks[:count], key))

    for a, b, c in zip(run(2, NoiseKey(7)), run(4, NoiseKey(7)), run(2, NoiseKey(8))):
        assert torch.equal(a, b)
        assert not torch.allclose(a, c)


@torch.no_grad()
def test_schedule_of_another_length():
    model = small_model()
    inputs = random_inputs(model.config, 3)
    (chunk,) = spans(model.prepare(inputs), 3)
    for sigmas in ((0.999, 0.0), (0.9, 0.6, 0.3, 0.0)):
        stream = stream_of(model, inputs, sigmas)
        (x0,) = sample_causal(stream, [chunk], NoiseKey(5), sigmas)
        noise = NoiseKey(5).draws(0, len(sigmas) - 1, x0.shape)
        expected = denoise_chunk(lambda x, sigma, s=stream: s(x, sigma, chunk), noise, sigmas)
        assert torch.equal(x0, expected)
    assert SIGMAS[0] == 0.999
