"""The rolling cache against a brute-force recomputation with explicit attention windows."""

from __future__ import annotations

import pytest
import torch

from lipforcing.models import CausalStream, RollingKVCache
from lipforcing.models.rotary import Rotary
from lipforcing.sampling.causal import ChunkNoise, sample_causal

from .helpers import random_conditioning, small_model

# what chunk c sees, as (latent frame, rotary position), written out from the paper's window table
WINDOWS = [
    [(0, 0), (1, 1), (2, 2)],
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)],
    [(0, 0), (3, 1), (4, 2), (5, 3), (6, 4), (7, 5), (8, 6)],
    [(0, 0), (6, 1), (7, 2), (8, 3), (9, 4), (10, 5), (11, 6)],
]


class BruteForce:
    """The causal student without a cache object: all keys and values of all clean frames are kept unrotated, and
    every call builds its window from ``WINDOWS`` with an explicit mask over everything there is."""

    def __init__(self, model) -> None:
        self.model = model
        self.chunk = 0
        self.past = [[] for _ in model.blocks]

    def __call__(self, x, sigma, conditioning):
        return self._run(x, sigma, conditioning)[0]

    def remember(self, x0, conditioning):
        for layer, new in zip(self.past, self._run(x0, 0.0, conditioning)[1]):
            layer.append(new)
        self.chunk += 1

    def _run(self, x, sigma, conditioning):
        model, window = self.model, dict(WINDOWS[self.chunk])
        tokens, time, six = model._embed(x, torch.full((1,), sigma, dtype=torch.float64), conditioning)
        height, width = x.shape[-2] // 2, x.shape[-1] // 2
        spatial = height * width
        total = 3 * (self.chunk + 1)
        visible = torch.tensor([frame in window for frame in range(total)]).repeat_interleave(spatial)

        def rotate(values, first):
            out = values.clone()
            for f in range(values.shape[1] // spatial):
                position = window.get(first + f)
                if position is not None:
                    rows = slice(f * spatial, (f + 1) * spatial)
                    at = range(position, position + 1)
                    rotary = Rotary.at(at, height, width, model.config.head_dim, x.device)
                    out[:, rows] = rotary(values[:, rows])
            return out

        new = []
        for i, block in enumerate(model.blocks):
            tokens = model._add_audio(i, tokens, conditioning)
            shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = block.modulate(six)
            inner = block.attention_input(tokens, shift, scale)
            attention = block.self_attn
            keys, values = attention.keys_values(inner)
            new.append((keys, values))
            all_keys = torch.cat([k for k, _ in self.past[i]] + [keys], dim=1)
            all_values = torch.cat([v for _, v in self.past[i]] + [values], dim=1)
            queries = attention.norm_q(attention.q(inner)).unflatten(-1, (attention.num_heads, -1))
            q, k = rotate(queries, 3 * self.chunk), rotate(all_keys, 0)
            scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / model.config.head_dim**0.5
            weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
            attended = attention.o(torch.einsum("bhqk,bkhd->bqhd", weights, all_values).flatten(2))
            tokens = tokens + gate * attended.view_as(tokens)
            crossed = block.cross_attn(block.norm3(tokens).flatten(1, 2), conditioning.text[i])
            tokens = tokens + crossed.view_as(tokens)
            tokens = tokens + ffn_gate * block.ffn(block.norm2(tokens) * (1 + ffn_scale) + ffn_shift)
        return model._project(tokens, time, x), new


def chunks_of(conditioning, count):
    return [conditioning.span(3 * c, 3 * c + 3) for c in range(count)]


@torch.no_grad()
def test_streaming_equals_brute_force():
    model = small_model()
    chunks = chunks_of(random_conditioning(model, 12), 4)
    streamed = list(sample_causal(CausalStream(model), chunks, ChunkNoise(3)))
    brute = list(sample_causal(BruteForce(model), chunks, ChunkNoise(3)))
    for ours, expected in zip(streamed, brute, strict=True):
        torch.testing.assert_close(ours, expected, atol=2e-5, rtol=0)


@torch.no_grad()
def test_same_seed_gives_same_frames_whatever_follows():
    model = small_model()
    conditioning = random_conditioning(model, 12)
    short = list(sample_causal(CausalStream(model), chunks_of(conditioning, 2), ChunkNoise(7)))
    long = list(sample_causal(CausalStream(model), chunks_of(conditioning, 4), ChunkNoise(7)))
    other = list(sample_causal(CausalStream(model), chunks_of(conditioning, 2), ChunkNoise(8)))
    for a, b, c in zip(short, long, other):
        assert torch.equal(a, b)
        assert not torch.allclose(a, c)


@torch.no_grad()
def test_denoising_leaves_the_cache_alone():
    model = small_model()
    first, second = chunks_of(random_conditioning(model, 6), 2)
    stream = CausalStream(model)
    x = torch.randn(1, 16, 3, 4, 6)
    stream.remember(x, first)
    keys, values = (part.clone() for part in stream.cache.read(0))
    once = stream(x, 0.999, second)
    assert torch.equal(once, stream(x, 0.999, second))
    assert torch.equal(keys, stream.cache.read(0)[0]) and torch.equal(values, stream.cache.read(0)[1])


@torch.no_grad()
def test_cache_memory_does_not_grow():
    model = small_model()
    conditioning = random_conditioning(model, 18)
    stream = CausalStream(model)
    for chunk in chunks_of(conditioning, 6):
        stream.remember(torch.randn(1, 16, 3, 4, 6), chunk)
        assert stream.cache.keys.shape[2] == RollingKVCache.slots * 6
    assert stream.cache.frames == RollingKVCache.slots


@torch.no_grad()
def test_oversized_chunk_is_refused():
    model = small_model()
    conditioning = random_conditioning(model, 9)
    stream = CausalStream(model)
    stream.remember(torch.randn(1, 16, 3, 4, 6), conditioning.span(0, 3))
    with pytest.raises(ValueError, match="overwrite the sink"):
        stream.remember(torch.randn(1, 16, 6, 4, 6), conditioning.span(3, 9))


@torch.no_grad()
def test_batch_is_independent_runs():
    model = small_model()
    one, two = random_conditioning(model, 3, seed=1), random_conditioning(model, 3, seed=2)
    joined = type(one)(
        *(torch.cat([getattr(one, name), getattr(two, name)]) for name in ("ref_latent",)),
        mouth_mask=one.mouth_mask,
        masked_video=torch.cat([one.masked_video, two.masked_video]),
        ref_sequence=torch.cat([one.ref_sequence, two.ref_sequence]),
        audio=torch.cat([one.audio, two.audio]),
        text=[tuple(torch.cat(pair) for pair in zip(a, b)) for a, b in zip(one.text, two.text)],
    )
    two = type(two)(two.ref_latent, one.mouth_mask, two.masked_video, two.ref_sequence, two.audio, two.text)
    x = torch.randn(2, 16, 3, 4, 6)
    both = CausalStream(model)(x, 0.5, joined)
    torch.testing.assert_close(both[:1], CausalStream(model)(x[:1], 0.5, one), atol=1e-5, rtol=0)
    torch.testing.assert_close(both[1:], CausalStream(model)(x[1:], 0.5, two), atol=1e-5, rtol=0)
