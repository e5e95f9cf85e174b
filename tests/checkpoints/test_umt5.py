"""UMT5's encoder in the names of its publishers."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.sources import InMemory
from lipforcing.checkpoints.umt5 import WAN_BLOCK, UMT5Size, is_umt5, official_umt5_name, umt5_size

from .samples import text_encoder, wan_names_of_umt5


def test_sizes_of_the_published_encoder():
    """UMT5-XXL: vocabulary 256384, 64 heads, 24 layers, 5.68 B parameters (docs/model.md, Text)."""
    size = UMT5Size(256384, 4096, 24, 64, 64, 10240, 32)
    held = InMemory({name: torch.empty(shape, device="meta") for name, shape in size.shapes().items()})
    assert umt5_size(held) == size
    assert sum(held.spec(name).numel for name in held) == pytest.approx(5.68e9, rel=1e-3)
    assert {name.split(".")[0] for name in wan_names_of_umt5(held)} == {"token_embedding", "blocks", "norm"}
    assert all(official_umt5_name(name) in held for name in wan_names_of_umt5(held)) and WAN_BLOCK.match("blocks.23.x")


def test_either_publishers_names_are_known():
    ours = text_encoder()
    theirs = wan_names_of_umt5(ours)
    assert is_umt5(ours) and is_umt5(theirs) and not is_umt5(["token_embeddings.weight"])
    assert {official_umt5_name(name) for name in theirs} == set(ours) == {official_umt5_name(name) for name in ours}
    assert official_umt5_name("encoder.embed_tokens.weight") == "shared.weight"
    assert official_umt5_name("decoder.block.0.layer.0.SelfAttention.q.weight") is None


def test_a_wild_index_makes_no_list_of_a_million_blocks():
    tensors = text_encoder()
    tensors["encoder.block.9999.layer.0.SelfAttention.q.weight"] = torch.zeros(1)
    assert umt5_size(InMemory(tensors)).layers == 6
    assert umt5_size(InMemory({"shared.weight": torch.zeros(2, 3)})) is None
