"""Sizes as docs/model.md, Sizes, lists them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lipforcing.models import WanTransformer
from lipforcing.models.config import PRESETS, wan_1_3b, wan_14b
from lipforcing.models.window import Whole

from .helpers import small_model

PUBLISHED = {  # parameters, tensors, head width, last block with audio
    "wan_14b": (14_294_081_696, 1137, 128, 20),
    "wan_1_3b": (1_421_383_840, 857, 128, 15),
    "tiny": (1_664_592, 185, 32, 3),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_the_published_sizes(preset):
    config = PRESETS[preset]()
    state = WanTransformer(config, device="meta").state_dict()
    parameters, tensors, width, last = PUBLISHED[preset]
    assert (sum(tensor.numel() for tensor in state.values()), len(state)) == (parameters, tensors)
    assert config.head_dim == width and config.audio_blocks == range(2, last + 1)


def test_operations_of_a_forward():
    """14B: 73.4 TFLOP in linear layers, 18.0 in self-attention, 1.3 in attention to 512 text positions, per forward."""
    for config, linear, own, text in ((wan_14b(), 73.4, 18.0, 1.3), (wan_1_3b(), 7.7, 4.1, 0.3)):
        tokens, keys = 3 * 1024, 7 * 1024
        assert config.forward_flops(tokens, 0, 0) / 1e12 == pytest.approx(linear, rel=0.02)
        found = config.forward_flops(tokens, keys, 0) - config.forward_flops(tokens, 0, 0)
        assert found / 1e12 == pytest.approx(own, rel=0.02)
        found = config.forward_flops(tokens, 0, 512) - config.forward_flops(tokens, 0, 0)
        assert found / 1e12 == pytest.approx(text, rel=0.1)


def test_operations_are_those_that_torch_counts():
    def attention(q, k, v, bias=None):  # torch does not count what its fused one does on a CPU
        return torch.einsum("bhqk,bkhd->bqhd", torch.einsum("bqhd,bkhd->bhqk", q, k).softmax(-1), v)

    config = replace(small_model().config, dim=96, ffn_dim=256, num_heads=2)
    model = WanTransformer(config, attention=attention).requires_grad_(False)
    block, geometry = model.blocks[0], model.geometry(torch.zeros(16, 16), 3)
    tokens = 3 * geometry.tokens
    x, six = torch.randn(1, 3, geometry.tokens, config.dim), torch.randn(1, 1, 6, config.dim)
    text = (*block.text_keys_values(torch.randn(1, config.text_len, config.dim)), None)
    with FlopCounterMode(display=False) as counter:
        block(x, six, text, Whole(geometry.at(range(3))).layer(0))
    expected = config.forward_flops(tokens, tokens, config.text_len) / config.num_layers
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)
