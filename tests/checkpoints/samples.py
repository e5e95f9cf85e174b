"""Small checkpoints of every kind, with random weights, and what is asked of every container."""

from __future__ import annotations

from dataclasses import replace

import torch

from lipforcing.audio.wav2vec2 import Wav2Vec2Config
from lipforcing.checkpoints.catalog import expected_shapes
from lipforcing.checkpoints.detect import Kind
from lipforcing.checkpoints.files import open_tensors
from lipforcing.checkpoints.umt5 import WAN_PARTS, UMT5Size, official_umt5_name
from lipforcing.codecs.taehv import tiny as taehv_tiny
from lipforcing.codecs.tiny import TinyCodecConfig
from lipforcing.codecs.wan_vae import WanVAEConfig
from lipforcing.models.config import WanConfig
from lipforcing.models.syncnet import SyncNetConfig

# Four layers are the fewest that have an audio projection; heads of 128 need no metadata.
WAN = WanConfig(
    dim=128,
    ffn_dim=96,
    num_heads=1,
    num_layers=4,
    text_dim=24,
    freq_dim=16,
    audio_dim=6,
    audio_hidden=4,
)
RANK = 4
LORA_LAYERS = [f"{attention}.{part}" for attention in ("self_attn", "cross_attn") for part in "qkvo"] + [
    "ffn.0",
    "ffn.2",
]


def random_tensors(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def student(seed: int = 0) -> dict[str, torch.Tensor]:
    return random_tensors(expected_shapes(Kind.STUDENT, WAN), seed)


def wan_base(seed: int = 1) -> dict[str, torch.Tensor]:
    return random_tensors(expected_shapes(Kind.WAN_BASE, replace(WAN, in_dim=16)), seed)


def adapter(seed: int = 2, suffix: str = "") -> dict[str, torch.Tensor]:
    """LoRA pairs for all layers, and the full tensors that an adapter brings."""
    shapes = expected_shapes(Kind.STUDENT, WAN)
    wanted = {name: shape for name, shape in shapes.items() if name.startswith(("patch_embedding", "audio_"))}
    for block in range(WAN.num_layers):
        for layer in LORA_LAYERS:
            rows, columns = shapes[f"blocks.{block}.{layer}.weight"]
            wanted[f"blocks.{block}.{layer}.lora_A{suffix}.weight"] = (RANK, columns)
            wanted[f"blocks.{block}.{layer}.lora_B{suffix}.weight"] = (rows, RANK)
    return random_tensors(wanted, seed)


def wan_vae() -> dict[str, torch.Tensor]:
    return random_tensors(expected_shapes(Kind.WAN_VAE, WanVAEConfig(dim=4)))


def taehv() -> dict[str, torch.Tensor]:
    return random_tensors(expected_shapes(Kind.TAEHV, taehv_tiny()))


def syncnet() -> dict[str, torch.Tensor]:
    return random_tensors(expected_shapes(Kind.SYNCNET, SyncNetConfig.tiny()))


def wav2vec2() -> dict[str, torch.Tensor]:
    """Published names: a prefix, a letter head, the positional convolution in two halves."""
    config = Wav2Vec2Config(width=64, layers=2, heads=1, feed_forward=32, conv_channels=(8,) * 7, position_kernel=8)
    tensors = random_tensors(expected_shapes(Kind.WAV2VEC2, config))
    folded = tensors.pop("encoder.pos_conv_embed.conv.weight")
    tensors["encoder.pos_conv_embed.conv.weight_v"] = folded
    tensors["encoder.pos_conv_embed.conv.weight_g"] = folded.norm(dim=(0, 1), keepdim=True)
    return {f"wav2vec2.{name}": tensor for name, tensor in tensors.items()} | {"lm_head.weight": torch.zeros(3, 64)}


def text_encoder() -> dict[str, torch.Tensor]:
    return random_tensors(UMT5Size(6, 8, 2, 2, 4, 12, 4).shapes())


def yunet_like() -> dict[str, torch.Tensor]:
    names = ("model0.conv1.weight", "model6.conv1.conv1.weight", "head.0.conv1.conv1.weight")
    return {name: torch.zeros(2, 2) for name in names}


def tiny_meter() -> dict[str, torch.Tensor]:
    return {name: torch.zeros(2, 2) for name in ("convs.0.weight", "convs.1.weight", "out.weight")}


SAMPLES = {
    Kind.STUDENT: student,
    Kind.ADAPTER: adapter,
    Kind.WAN_BASE: wan_base,
    Kind.WAN_VAE: wan_vae,
    Kind.TAEHV: taehv,
    Kind.WAV2VEC2: wav2vec2,
    Kind.SYNCNET: syncnet,
    Kind.YUNET: yunet_like,
    Kind.TINY_CODEC: lambda: random_tensors(expected_shapes(Kind.TINY_CODEC, TinyCodecConfig())),
    Kind.TINY_METER: tiny_meter,
    Kind.TEXT_ENCODER: text_encoder,
    Kind.TEXT_EMBEDDING: lambda: {"context": torch.zeros(1, 512, 4096, dtype=torch.bfloat16)},
}


def wan_names_of_umt5(tensors):
    """Tensors of a UMT5 encoder under the names of Wan's own file."""
    back = {official_umt5_name(part + "weight"): part + "weight" for part in ("token_embedding.", "norm.")}
    for name in tensors:
        for part, official in WAN_PARTS.items():
            block = f"blocks.{name.split('.')[2]}." if name.startswith("encoder.block.") else None
            if block and official.startswith("layer.") and f".{official}" in name:
                rest = name.partition(f".{official}")[2]
                back[name] = block + part + rest
    return {back[name]: tensor for name, tensor in tensors.items()}


def check(path, tensors, format):
    """A file is of a format and gives back exactly these tensors, whole and in pieces."""
    file = open_tensors(path)
    assert file.format == format
    assert set(file) == set(tensors)
    for name, tensor in tensors.items():
        assert file.shapes[name] == tuple(tensor.shape) and file.dtypes[name] == tensor.dtype
        assert torch.equal(file[name], tensor.detach()), name
        blocks = list(file.blocks(name, block_bytes=16))
        assert torch.equal(torch.cat(blocks) if tensor.ndim and len(tensor) else file[name], tensor.detach()), name
