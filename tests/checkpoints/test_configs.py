"""Sizes of networks, from shapes and from what files say of themselves."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.configs import OwnMetadata, own_metadata, tiny_codec_config, wan_config, wav2vec2_config
from lipforcing.checkpoints.detect import Kind, recognise
from lipforcing.checkpoints.sources import InMemory
from lipforcing.codecs.tiny import TinyCodec, TinyCodecConfig
from lipforcing.errors import InputError

from . import samples


def test_wan_config_from_shapes(golden):
    student = golden("student_ar")
    sizes = student.config
    config = wan_config(InMemory(student.group("weights")), OwnMetadata(config={"num_heads": sizes["num_heads"]}))
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
    assert wan_config(InMemory(samples.student()), OwnMetadata()) == samples.WAN
    assert wan_config(InMemory(samples.student()), OwnMetadata(config={"num_heads": 2})).num_heads == 2


@pytest.mark.parametrize("table", [{"dim": 64}, {"num_heads": 3}, {"num_heads": "x"}, {"num_heads": -1}])
def test_metadata_that_contradicts_the_tensors_is_refused(table):
    with pytest.raises(InputError, match="says of itself"):
        wan_config(InMemory(samples.student()), OwnMetadata(config=table))


def test_wav2vec2_config(golden):
    weights = golden("wav2vec_features")
    sizes = weights.meta["hf_config"]
    heads = {"config.json": f'{{"num_attention_heads": {sizes["num_attention_heads"]}}}'}
    config = wav2vec2_config(InMemory(weights.group("weights"), heads), OwnMetadata())
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
        source = InMemory({key["name"]: torch.empty(key["shape"], device="meta") for key in keys})
        assert recognise(source).kind is Kind.STUDENT
        config = wan_config(source, OwnMetadata())
        assert config.num_heads == heads
        # What no shape shows (docs/model.md, Sizes).
        assert (config.eps, config.text_len) == (1e-6, 512)
        assert list(config.audio_blocks) == list(range(2, config.num_layers // 2 + 1))


@pytest.mark.parametrize(
    "config", [TinyCodecConfig(), TinyCodecConfig(8, 12, 2, 10, 4, 4, 6), TinyCodecConfig(width=24, fine=8)]
)
def test_sizes_of_a_tiny_codec_show_in_its_tensors(config):
    assert tiny_codec_config(InMemory(TinyCodec(config, device="meta").state_dict())) == config


def test_a_tiny_codec_that_lacks_tensors_has_the_usual_sizes():
    """What lacks is then named by whoever loads it; a codec may well have no stage for fine details."""
    assert tiny_codec_config(InMemory({})) == TinyCodecConfig(fine=0)
