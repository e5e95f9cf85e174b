"""Names of all layouts map to the official ones."""

from __future__ import annotations

import pytest

from lipforcing.checkpoints.layouts import diffusers_to_native, find_layout, plain_lora_name, with_official_names
from lipforcing.checkpoints.sources import InMemory
from lipforcing.errors import InputError

from . import samples

NAMES = ("blocks.0.self_attn.q.weight", "patch_embedding.weight", "head.modulation")


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "_core.",
        "net.",
        "net._core.",
        "model.net.",
        "model.net._core.",
        "model.",
        "module.",
        "transformer.",
        "model.diffusion_model.",
        "diffusion_model.",
        "state_dict.model.",
        "base_model.model.",
        "module._core.",
    ],
)
def test_prefixes_and_wrappers_come_off(prefix):
    layout = find_layout(prefix + name for name in NAMES)
    assert layout.names == {name: prefix + name for name in NAMES}
    assert layout.prefix == prefix and not layout.ignored


def test_prefix_is_decided_per_name_not_by_the_first():
    layout = find_layout(["blocks.0.modulation", "_core.blocks.1.modulation"])
    assert set(layout.names) == {"blocks.0.modulation", "blocks.1.modulation"}


def test_what_lies_beside_the_model_is_ignored():
    names = ["model.net.a", "model.fake_score.a", "optimizer.state.0.exp_avg"]
    assert find_layout(names).names == {"a": "model.net.a"}
    assert find_layout(names).ignored == ("model.fake_score.a", "optimizer.state.0.exp_avg")
    assert find_layout(["model.a", "optimizer.state.0.exp_avg"]).names == {"a": "model.a"}


def test_two_names_for_one_tensor_are_refused():
    source = InMemory({"blocks.0.modulation": 0, "_core.blocks.0.modulation": 0}, label="both.pth")
    with pytest.raises(InputError, match=r"both.pth is a mix"):
        with_official_names(source)


def test_diffusers_names_round_trip(golden):
    native_to_diffusers = golden("lora_merge").meta["native_to_diffusers"]
    assert {native: diffusers_to_native(name) for native, name in native_to_diffusers.items()} == {
        native: native for native in native_to_diffusers
    }
    layout = find_layout(f"transformer.{name}" for name in native_to_diffusers.values())
    assert layout.diffusers and set(layout.names) == set(native_to_diffusers)


def test_diffusers_norms_swap():
    assert diffusers_to_native("blocks.3.norm2.weight") == "blocks.3.norm3.weight"
    assert diffusers_to_native("blocks.3.norm3.weight") == "blocks.3.norm2.weight"


def test_native_names_keep_their_norms():
    names = ["blocks.0.norm3.weight", "blocks.0.self_attn.q.weight"]
    assert set(find_layout(names).names) == set(names)


def test_rotary_tables_are_dropped():
    layout = find_layout(["blocks.0.attn1.to_q.weight", "rope.freqs_cos", "rope.freqs_sin"])
    assert set(layout.names) == {"blocks.0.self_attn.q.weight"}


def test_lora_names():
    assert plain_lora_name("blocks.0.ffn.0.lora_A.default.weight") == "blocks.0.ffn.0.lora_A.weight"
    assert plain_lora_name("blocks.0.ffn.0.lora_B.weight") == "blocks.0.ffn.0.lora_B.weight"
    assert plain_lora_name("blocks.0.ffn.0.base_layer.weight") == "blocks.0.ffn.0.weight"


def test_wav2vec2_gets_its_published_names():
    published = {name for name in samples.wav2vec2() if name.startswith("wav2vec2.")}
    bare = {name.removeprefix("wav2vec2.") for name in published}
    newer = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        )
        for name in bare
    }
    for names in (published | {"lm_head.weight"}, bare, newer):
        assert set(find_layout(names).names) == published


@pytest.mark.parametrize("prefix", ["", "model.", "first_stage_model.", "vae."])
def test_vae_prefixes(prefix):
    names = set(samples.wan_vae())
    assert find_layout(prefix + name for name in names).names == {name: prefix + name for name in names}
