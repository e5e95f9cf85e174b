"""Merging adapters."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.layouts import with_official_names
from lipforcing.checkpoints.lora import Adapted, lora_ratio
from lipforcing.checkpoints.sources import InMemory
from lipforcing.errors import InputError

from . import samples

SET = "lora_merge"


@pytest.mark.parametrize("suffix", ["short", "long"])
@pytest.mark.parametrize("layout", ["native", "diffusers", "comfyui", "model."])
def test_golden(golden, parity, suffix, layout):
    data = golden(SET)
    base = data.group("base")
    if layout == "diffusers":
        base = {data.meta["native_to_diffusers"][name]: tensor for name, tensor in base.items()}
    elif layout != "native":
        prefix = {"comfyui": "model.diffusion_model."}.get(layout, layout)
        base = {prefix + name: tensor for name, tensor in base.items()}
    adapter = data.group(f"adapter_{suffix}")
    merged = Adapted(
        with_official_names(InMemory(base))[0], with_official_names(InMemory(adapter))[0], alpha=data.config["alpha"]
    )
    expected = data.group("merged")
    assert set(merged) == set(expected)
    for name, tensor in expected.items():
        parity(SET, f"{layout} base, {suffix} names", merged[name], tensor, 1e-6)
        assert merged.spec(name).shape == tuple(tensor.shape)


def test_narrow_patch_embedding_is_extended_with_zeros(golden, parity):
    data = golden(SET)
    adapter = data.group("adapter_short") | data.group("adapter_49ch")
    merged = Adapted(InMemory(data.group("base")), InMemory(adapter), data.config["alpha"], data.config["in_dim"])
    parity(SET, "49 channels", merged["patch_embedding.weight"], data["merged_49ch/patch_embedding.weight"], 0)


def test_rows_equal_the_whole():
    merged = Adapted(InMemory(samples.wan_base()), InMemory(samples.adapter()))
    for name in ("blocks.1.ffn.0.weight", "patch_embedding.weight", "blocks.0.modulation"):
        assert torch.allclose(torch.cat(list(merged.blocks(name, 1000))), merged[name], atol=1e-6)


def test_half_precision_is_merged_in_float32():
    name = "blocks.0.self_attn.q.weight"
    base, adapter = samples.wan_base(), samples.adapter()
    half = Adapted(
        InMemory({k: v.bfloat16() for k, v in base.items()}), InMemory({k: v.bfloat16() for k, v in adapter.items()})
    )
    assert half[name].dtype == torch.float32
    weight, a, b = (
        source[key].bfloat16().double()
        for source, key in (
            (base, name),
            (adapter, name.replace(".weight", ".lora_A.weight")),
            (adapter, name.replace(".weight", ".lora_B.weight")),
        )
    )
    assert torch.allclose(half[name].double(), weight + 0.5 * b @ a, atol=1e-5)


def test_ratio():
    plain, own = InMemory({}), InMemory({}, {"lipforcing": '{"lora_alpha": 2}'})
    assert lora_ratio(plain, 128, None) == 0.5
    assert lora_ratio(plain, 128, 32) == 0.25
    assert lora_ratio(own, 8, None) == 0.25
    assert lora_ratio(own, 8, 8) == 1.0


def test_training_checkpoint_with_its_own_base():
    name = "blocks.0.ffn.2.weight"
    tensors = samples.student() | {k: v for k, v in samples.adapter(suffix=".default").items() if "lora" in k}
    long = {k.replace(".weight", ".base_layer.weight") if k == name else k: v for k, v in tensors.items()}
    source, _ = with_official_names(InMemory({f"_core.{k}": v for k, v in long.items()}))
    merged = Adapted(source, source)
    expected = tensors[name] + 0.5 * (
        tensors["blocks.0.ffn.2.lora_B.default.weight"] @ tensors["blocks.0.ffn.2.lora_A.default.weight"]
    )
    assert torch.allclose(merged[name], expected, atol=1e-5)
    assert set(merged) == set(samples.student())


def broken(change):
    tensors = samples.adapter()
    change(tensors)
    return InMemory(tensors, label="adapter.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("blocks.0.ffn.0.lora_B.weight"), "half of the LoRA pair of 'blocks.0.ffn.0'"),
        (lambda t: t.update({"blocks.0.ffn.0.lora_A.weight": torch.zeros(4, 7)}), "of the same size"),
        (
            lambda t: t.update(
                {"blocks.9.x.lora_A.weight": torch.zeros(4, 7), "blocks.9.x.lora_B.weight": torch.zeros(7, 4)}
            ),
            "'blocks.9.x.weight', which base.pth does not have",
        ),
    ],
)
def test_misfits_are_named(change, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        Adapted(InMemory(samples.wan_base(), label="base.pth"), broken(change))
