"""Layers of the transformer: what one of them promises, beside what the whole is held to (test_transformer)."""

from __future__ import annotations

import torch

from lipforcing.models.blocks import AudioPack, modulated
from lipforcing.models.window import Whole

from .helpers import small_model


def test_modulation_is_rounded_once():
    """In half precision nearer to float32 than one rounding for the product and one for the sum."""
    x, shift, scale = (torch.randn(1000, generator=torch.Generator().manual_seed(i)) for i in range(3))
    exact = x.bfloat16().float() * (1 + scale.bfloat16()).float() + shift.bfloat16().float()
    once = modulated(x.bfloat16(), shift.bfloat16(), scale.bfloat16())
    twice = x.bfloat16() * (1 + scale.bfloat16()) + shift.bfloat16()
    errors = [(found.float() - exact).abs().mean() for found in (once, twice)]
    assert once.dtype == torch.bfloat16 and errors[0] < 0.8 * errors[1]


@torch.no_grad()
def test_keys_and_values_alone_are_those_of_the_whole_block():
    """What a cache write asks of the last block is what its forward gives beside the residual stream."""
    model = small_model()
    block, config = model.blocks[-1], model.config
    x, six = torch.randn(2, 3, 6, config.dim), torch.randn(1, 3, 6, config.dim)
    text = (*block.text_keys_values(torch.randn(2, 4, config.dim)), None)
    window = Whole(model.geometry(torch.zeros(4, 6), 3).at(range(3))).layer(0)
    out, own = block(x, six, text, window)
    assert out.shape == x.shape and own[0].shape == (2, 18, config.num_heads, config.head_dim)
    for ours, theirs in zip(block.keys_values(x, six), own, strict=True):
        assert torch.equal(ours, theirs)


@torch.no_grad()
def test_a_block_whose_gates_are_closed_adds_the_prompt_alone():
    model = small_model()
    block, config = model.blocks[0], model.config
    block.modulation.zero_()
    x, six = torch.randn(1, 2, 6, config.dim), torch.zeros(1, 1, 6, config.dim)
    text = (*block.text_keys_values(torch.randn(1, 4, config.dim)), None)
    window = Whole(model.geometry(torch.zeros(4, 6), 2).at(range(2))).layer(0)
    expected = x + block.cross_attn(block.norm3(x).flatten(1, 2), text).view_as(x)
    torch.testing.assert_close(block(x, six, text, window)[0], expected)


@torch.no_grad()
def test_the_rows_of_a_latent_frame_are_packed_frame_by_frame():
    config = small_model().config
    pack = AudioPack(config, 4, torch.nn)
    rows = torch.randn(1, 8, config.audio_dim)
    packed = pack(rows)
    assert packed.shape == (1, 2, config.audio_hidden)
    alone = pack.norm_out(pack.proj(torch.cat([rows[0, 4 + i] for i in range(4)])))
    torch.testing.assert_close(packed[0, 1], alone)
