"""The encoder half of UMT5 in the files people have: names, sizes and the tensors it consists of.

Official names are those of Hugging Face's ``UMT5EncoderModel``; Wan's own ``models_t5_umt5-xxl-enc-bf16.pth`` names the
same tensors differently (docs/model.md, Text).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .sources import TensorSource

EMBEDDING = "shared.weight"
TIED = "encoder.embed_tokens.weight"
NATIVE_SIGN = "token_embedding.weight"
SIGN = "encoder.block.0.layer.0.SelfAttention.q.weight"
ATTENTION, FEED_FORWARD = "layer.0.SelfAttention.", "layer.1.DenseReluDense."
BLOCK = re.compile(r"^encoder\.block\.(\d{1,4})\.")
WAN_BLOCK = re.compile(r"^blocks\.(\d+)\.")
WAN_PARTS = {
    "token_embedding.": "shared.",
    "norm.": "encoder.final_layer_norm.",
    "norm1.": "layer.0.layer_norm.",
    "norm2.": "layer.1.layer_norm.",
    "attn.": ATTENTION,
    "pos_embedding.embedding.": f"{ATTENTION}relative_attention_bias.",
    "ffn.gate.0.": f"{FEED_FORWARD}wi_0.",
    "ffn.fc1.": f"{FEED_FORWARD}wi_1.",
    "ffn.fc2.": f"{FEED_FORWARD}wo.",
}


@dataclass(frozen=True)
class UMT5Size:
    """Sizes of an encoder.

    Attributes:
        vocabulary: tokens.
        width: of the embedding and the residual stream.
        layers: blocks.
        heads: attention heads, each ``head_width`` wide.
        feed_forward: inner width of the gated feed-forward parts.
        buckets: of relative distances, in every layer.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    head_width: int
    feed_forward: int
    buckets: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Official name -> shape of every tensor."""
        inner = self.heads * self.head_width
        block = {
            **{f"{ATTENTION}{part}.weight": (inner, self.width) for part in "qkv"},
            f"{ATTENTION}o.weight": (self.width, inner),
            f"{ATTENTION}relative_attention_bias.weight": (self.buckets, self.heads),
            "layer.0.layer_norm.weight": (self.width,),
            f"{FEED_FORWARD}wi_0.weight": (self.feed_forward, self.width),
            f"{FEED_FORWARD}wi_1.weight": (self.feed_forward, self.width),
            f"{FEED_FORWARD}wo.weight": (self.width, self.feed_forward),
            "layer.1.layer_norm.weight": (self.width,),
        }
        blocks = {f"encoder.block.{i}.{name}": shape for i in range(self.layers) for name, shape in block.items()}
        return {EMBEDDING: (self.vocabulary, self.width), **blocks, "encoder.final_layer_norm.weight": (self.width,)}


def umt5_size(source: TensorSource) -> UMT5Size | None:
    """Sizes of an encoder with official names; None where the tensors that tell them are missing."""
    first = "encoder.block.0."
    parts = ("q.weight", "relative_attention_bias.weight")
    names = (EMBEDDING, *(f"{first}{ATTENTION}{part}" for part in parts), f"{first}{FEED_FORWARD}wi_0.weight")
    shapes = [source.spec(name).shape if name in source else () for name in names]
    if any(len(shape) != 2 or 0 in shape for shape in shapes):
        return None
    (vocabulary, width), (inner, _), (buckets, heads), (feed_forward, _) = shapes
    indices = {int(match[1]) for name in source if (match := BLOCK.match(name))}
    layers = min(1 + max(indices), 2 * len(indices))  # a wild index is no reason to list as many blocks
    return UMT5Size(vocabulary, width, layers, heads, max(1, inner // heads), feed_forward, buckets)


def is_umt5(names: Iterable[str]) -> bool:
    """Whether names that nothing wraps are those of a T5-like text encoder in either layout."""
    return not {NATIVE_SIGN, SIGN}.isdisjoint(names)


def official_umt5_name(name: str) -> str | None:
    """Name of a tensor in ``UMT5EncoderModel``; None for what is not part of the encoder."""
    if name == TIED:
        return EMBEDDING
    if name.startswith(("shared.", "encoder.")):
        return name
    block = WAN_BLOCK.match(name)
    rest = name[block.end() :] if block else name
    part = next((part for part in WAN_PARTS if rest.startswith(part)), None)
    if part is None:
        return None
    return f"{f'encoder.block.{block[1]}.' if block else ''}{WAN_PARTS[part]}{rest.removeprefix(part)}"
