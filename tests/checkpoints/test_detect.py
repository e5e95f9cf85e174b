"""Files are recognised by content."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.configs import OwnMetadata, own_metadata, wan_config, wav2vec2_config
from lipforcing.checkpoints.detect import Kind, identify, transformer_size
from lipforcing.checkpoints.layouts import with_official_names
from lipforcing.checkpoints.sources import Held
from lipforcing.errors import InputError

from . import samples


@pytest.mark.parametrize("kind", list(samples.SAMPLES))
def test_every_kind_is_recognised(kind):
    source, _ = with_official_names(Held(samples.SAMPLES[kind]()))
    assert identify(source).kind is kind


def test_metadata_tells_a_teacher_from_a_student():
    source = Held(samples.student())
    assert identify(source, OwnMetadata(kind="teacher")).kind is Kind.TEACHER
    # Metadata does not turn one network into another.
    assert identify(source, OwnMetadata(kind="wan_vae")).kind is Kind.STUDENT


def without(tensors, *names):
    return {name: tensor for name, tensor in tensors.items() if name not in names}


@pytest.mark.parametrize(
    ("tensors", "found"),
    [
        (lambda: samples.student() | {"patch_embedding.weight": torch.zeros(8, 49, 1, 2, 2)}, "49 input channels"),
        (lambda: samples.wan_base() | {"img_emb.proj.0.bias": torch.zeros(1)}, "image-to-video"),
        (lambda: {"token_embedding.weight": torch.zeros(1), "blocks.0.attn.q.weight": torch.zeros(1)}, "UMT5"),
        (lambda: {"lora_unet_x.lora_down.weight": torch.zeros(1), "a.lora_A.weight": torch.zeros(1)}, "a LoRA for"),
        (lambda: without(samples.syncnet(), "netfclip.0.weight"), "nearest to a SyncNet but without 'netfclip"),
        (lambda: samples.wan_vae() | {"conv2.weight": torch.zeros(48, 48, 1, 1, 1)}, "48 latent channels"),
        (lambda: {"foo": torch.zeros(1), "bar": torch.zeros(1)}, "an unknown file (its tensors are 'foo', 'bar')"),
    ],
)
def test_unknown_files_get_the_nearest_guess(tensors, found):
    identity = identify(Held(tensors()))
    assert identity.kind is Kind.UNKNOWN and found in identity.found


def test_a_damaged_student_is_still_a_student():
    for name in ("patch_embedding.weight", "head.modulation", "blocks.0.self_attn.q.weight"):
        assert identify(Held(without(samples.student(), name))).kind is Kind.STUDENT


def test_wan_config_from_shapes(golden):
    student = golden("student_ar")
    sizes = student.config
    config = wan_config(Held(student.group("weights")), OwnMetadata(config={"num_heads": sizes["num_heads"]}))
    same_names = (
        "dim",
        "ffn_dim",
        "num_heads",
        "num_layers",
        "in_dim",
        "out_dim",
        "text_dim",
        "freq_dim",
        "audio_hidden",
    )
    assert {name: getattr(config, name) for name in same_names} == {name: sizes[name] for name in same_names}
    assert config.audio_dim == sizes["audio_in"]


def test_official_head_width_is_assumed_and_others_stay_open():
    assert wan_config(Held(samples.student()), OwnMetadata()) == samples.WAN
    assert wan_config(Held(samples.student()), OwnMetadata(config={"num_heads": 2})).num_heads == 2


@pytest.mark.parametrize("table", [{"dim": 64}, {"num_heads": 3}, {"num_heads": "x"}, {"num_heads": -1}])
def test_metadata_that_contradicts_the_tensors_is_refused(table):
    with pytest.raises(InputError, match="says of itself"):
        wan_config(Held(samples.student()), OwnMetadata(config=table))


def test_sizes_in_words():
    width = {"patch_embedding.weight": torch.empty(5120, 65, 1, 2, 2, device="meta")}
    assert transformer_size(Held(width)) == "14B"
    assert transformer_size(Held(samples.adapter())) == "width 128"


def test_wav2vec2_config(golden):
    weights = golden("wav2vec_features")
    sizes = weights.meta["hf_config"]
    heads = {"config.json": f'{{"num_attention_heads": {sizes["num_attention_heads"]}}}'}
    config = wav2vec2_config(Held(weights.group("weights"), heads), OwnMetadata())
    assert (config.width, config.layers, config.heads) == (
        sizes["hidden_size"],
        sizes["num_hidden_layers"],
        sizes["num_attention_heads"],
    )
    assert config.feed_forward == sizes["intermediate_size"] and list(config.conv_channels) == sizes["conv_dim"]
    assert list(config.conv_kernels) == sizes["conv_kernel"] and list(config.conv_strides) == sizes["conv_stride"]
    assert config.position_kernel == sizes["num_conv_pos_embeddings"]
    assert config.position_groups == sizes["num_conv_pos_embedding_groups"]


def test_own_metadata_round_trip():
    own = OwnMetadata("student", {"num_heads": 5}, (0.999, 0.0), {"note": "x"})
    assert own_metadata({"lipforcing": own.to_text()}, "a") == own
    assert own_metadata({}, "a") == OwnMetadata()
    for text in ("", "[]", "{", '{"schedule": ["x"]}', '{"config": 3}', '{"kind": {}}', "[" * 100_000):
        with pytest.raises(InputError, match="cannot be read"):
            own_metadata({"lipforcing": text}, "a")


def test_published_sizes(golden_json):
    for name, heads in (("state_dict_manifest_14b", 40), ("state_dict_manifest_1.3b", 12)):
        keys = golden_json(name)["keys"]
        source = Held({key["name"]: torch.empty(key["shape"], device="meta") for key in keys})
        assert identify(source).kind is Kind.STUDENT
        config = wan_config(source, OwnMetadata())
        assert config.num_heads == heads
        # What no shape shows (docs/model.md, Sizes).
        assert (config.eps, config.text_len) == (1e-6, 512)
        assert list(config.audio_blocks) == list(range(2, config.num_layers // 2 + 1))


@pytest.mark.parametrize(
    "suffixes, kinds",
    [
        (("lora_down.weight", "lora_up.weight", "alpha", "diff_b"), "diff_b, lora_down, lora_up"),
        (("diff",), "diff"),
        (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "alpha"), "hada_w1, hada_w2"),
        (("lokr_w1", "lokr_w2_a", "lokr_w2_b"), "lokr_w1, lokr_w2"),
        (("lora_A.weight", "lora_B.weight", "dora_scale"), "dora_scale"),
        (("lora_A.weight", "lora_B.weight", "diff_b"), "diff_b"),
    ],
)
@pytest.mark.parametrize("layer, model", [("blocks.0.self_attn.q", "Wan"), ("double_blocks.0.qkv", "another model")])
def test_other_adapters_are_no_models(suffixes, kinds, layer, model):
    identity = identify(Held({f"{layer}.{suffix}": torch.zeros(4, 4) for suffix in suffixes}))
    assert identity.kind is Kind.UNKNOWN and identity.found.startswith(f"a LoRA for {model} with {kinds} (")
