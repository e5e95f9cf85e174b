"""Adapters in training."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.lora import Adapted
from lipforcing.checkpoints.sources import InMemory
from lipforcing.distill.lora import AdaptedLinear, adapt, merge
from lipforcing.models import WanTransformer
from lipforcing.models.config import tiny


@pytest.fixture
def network() -> WanTransformer:
    """With adapters that do something."""
    torch.manual_seed(4)
    adapted = adapt(WanTransformer(tiny()), 3)
    for module in adapted.modules():
        if isinstance(module, AdaptedLinear):
            torch.nn.init.normal_(module.lora_B.weight, std=0.1)
    return adapted


def test_adapters_start_as_nothing():
    torch.manual_seed(4)
    base = torch.nn.Linear(6, 5)
    x = torch.randn(2, 6)
    assert torch.equal(AdaptedLinear(base, 2)(x), base(x))


def test_what_learns_is_what_the_published_ones_learn(network):
    learn = {name for name, p in network.named_parameters() if p.requires_grad}
    layers = {name.rsplit(".lora_", 1)[0].split(".", 2)[2] for name in learn if ".lora_" in name}
    assert layers == {f"{a}_attn.{p}" for a in ("self", "cross") for p in "qkvo"} | {"ffn.0", "ffn.2"}
    rest = {name.split(".")[0] for name in learn if ".lora_" not in name}
    assert rest == {"patch_embedding", "audio_proj", "audio_cond_projs"}
    assert adapt(WanTransformer(tiny()), 0).head.head.weight.requires_grad


def test_merging_changes_the_layers_and_not_what_they_do(network):
    x = torch.randn(3, tiny().dim)
    layer = network.blocks[0].ffn[0]
    before, plain = layer(x), layer.weight.clone()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    merge(network)
    merged = network.blocks[0].ffn[0]
    assert type(merged) is torch.nn.Linear and not torch.allclose(merged.weight, plain, atol=1e-3)
    torch.testing.assert_close(merged(x), before)
    assert network.state_dict().keys() == WanTransformer(tiny()).state_dict().keys()
    read = Adapted(InMemory(state), InMemory(state))  # as a file that was saved unmerged is read
    for name, value in network.state_dict().items():
        torch.testing.assert_close(read[name], value)
