"""The Wan 2.1 autoencoder's weights in the names people have."""

from __future__ import annotations

import pytest
import torch

from lipforcing.codecs.wan_vae import WanVAE, WanVAEConfig
from lipforcing.codecs.wan_vae_keys import normalise_vae_keys
from lipforcing.errors import InputError


def flat_keys() -> list[str]:
    with torch.device("meta"):
        return list(WanVAE(WanVAEConfig(dim=8)).state_dict())


def diffusers_keys() -> list[str]:
    """Keys of diffusers' AutoencoderKLWan in its published sizes, spelled out by level."""

    def block(name, shortcut=False):
        convs = ["conv1", "conv2", *["conv_shortcut"] * shortcut]
        return [f"{name}.norm1.gamma", f"{name}.norm2.gamma", *layers(name, convs)]

    def layers(name, parts):
        return [f"{name}.{part}.{kind}" for part in parts for kind in ("weight", "bias")]

    def mid(side):
        name = f"{side}.mid_block"
        attention = [f"{name}.attentions.0.norm.gamma", *layers(f"{name}.attentions.0", ["to_qkv", "proj"])]
        return block(f"{name}.resnets.0") + attention + block(f"{name}.resnets.1")

    def ends(side):
        return [f"{side}.norm_out.gamma", *layers(side, ["conv_in", "conv_out"])]

    encoder = ends("encoder") + mid("encoder")
    for index in (0, 1, 3, 4, 6, 7, 9, 10):
        encoder += block(f"encoder.down_blocks.{index}", shortcut=index in (3, 6))
    encoder += layers("encoder.down_blocks.2", ["resample.1"])
    encoder += layers("encoder.down_blocks.5", ["resample.1", "time_conv"])
    encoder += layers("encoder.down_blocks.8", ["resample.1", "time_conv"])
    decoder = ends("decoder") + mid("decoder")
    for level in range(4):
        for index in range(3):
            decoder += block(f"decoder.up_blocks.{level}.resnets.{index}", shortcut=(level, index) == (1, 0))
    decoder += layers("decoder.up_blocks.0.upsamplers.0", ["resample.1", "time_conv"])
    decoder += layers("decoder.up_blocks.1.upsamplers.0", ["resample.1", "time_conv"])
    decoder += layers("decoder.up_blocks.2.upsamplers.0", ["resample.1"])
    return (
        encoder
        + decoder
        + [f"{part}.{kind}" for part in ("quant_conv", "post_quant_conv") for kind in ("weight", "bias")]
    )


@pytest.mark.parametrize("prefix", ["", "model.", "first_stage_model."])
def test_flat_keys(prefix):
    keys = flat_keys()
    mapping = normalise_vae_keys([prefix + key for key in keys])
    assert mapping == {prefix + key: key for key in keys}


@pytest.mark.parametrize("prefix", ["", "vae."])
def test_diffusers_keys(prefix):
    mapping = normalise_vae_keys([prefix + key for key in diffusers_keys()])
    assert sorted(mapping.values()) == sorted(flat_keys())
    for theirs, ours in {
        "encoder.conv_in.bias": "encoder.conv1.bias",
        "encoder.down_blocks.3.conv_shortcut.weight": "encoder.downsamples.3.shortcut.weight",
        "encoder.down_blocks.8.time_conv.bias": "encoder.downsamples.8.time_conv.bias",
        "encoder.mid_block.attentions.0.to_qkv.weight": "encoder.middle.1.to_qkv.weight",
        "decoder.mid_block.resnets.1.conv1.weight": "decoder.middle.2.residual.2.weight",
        "decoder.up_blocks.1.resnets.2.norm2.gamma": "decoder.upsamples.6.residual.3.gamma",
        "decoder.up_blocks.2.upsamplers.0.resample.1.weight": "decoder.upsamples.11.resample.1.weight",
        "decoder.up_blocks.3.resnets.0.conv2.bias": "decoder.upsamples.12.residual.6.bias",
        "decoder.norm_out.gamma": "decoder.head.0.gamma",
        "decoder.conv_out.weight": "decoder.head.2.weight",
        "quant_conv.weight": "conv1.weight",
        "post_quant_conv.bias": "conv2.bias",
    }.items():
        assert mapping[prefix + theirs] == ours


def test_keys_beside_the_autoencoder_are_left_out():
    mapping = normalise_vae_keys(["model.diffusion.0.weight", *("vae." + key for key in flat_keys())])
    assert sorted(mapping.values()) == sorted(flat_keys())


def test_other_weights_are_refused():
    with pytest.raises(InputError, match="not a Wan 2"):
        normalise_vae_keys(["encoder.0.weight", "decoder.22.bias"])
