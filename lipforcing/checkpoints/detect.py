"""What a file of weights is, told by the names and shapes of its tensors, never by its own name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from .configs import OwnMetadata
from .lora import A, is_lora
from .sources import TensorSource

BLOCK_WEIGHT = re.compile(r"^blocks\.\d+\.(self_attn|cross_attn|ffn)\.")
LORA_TARGET = re.compile(r"^blocks\.\d+\.((self|cross)_attn\.[qkvo]|ffn\.[02])\.lora_A\.weight$")
# What other trainers and hosts put into adapters: other names of the pairs, differences of whole weights and of biases,
# and the other decompositions (LoHa, LoKr, OFT, DoRA). None of it is a weight of a model.
OTHER_ADAPTER = re.compile(
    r"\.(lora_(?:up|down|mid)|diff(?:_b|_m)?|hada_[wt]\d|lokr_[wt]\d|oft_\w+?|dora_scale|lora_magnitude_vector|set_weight)"
    r"(?:_[ab])?(?:\.weight)?$"
)
INPUT_CHANNELS = 65
PLAIN_CHANNELS = 16
LATENT_CHANNELS = 16
EMBEDDING_NAMES = ("tensor", "context", "text_emb", "text_embeds", "prompt_emb", "prompt_embeds")
MAX_TEXT_LEN = 1024


class Kind(str, Enum):
    """Files that this project reads."""

    STUDENT = "student"
    TEACHER = "teacher"
    ADAPTER = "adapter"
    WAN_BASE = "wan_base"
    WAN_VAE = "wan_vae"
    TAEHV = "taehv"
    WAV2VEC2 = "wav2vec2"
    SYNCNET = "syncnet"
    YUNET = "yunet"
    TEXT_ENCODER = "text_encoder"
    TEXT_EMBEDDING = "text_embedding"
    TINY_CODEC = "tiny_codec"
    TINY_METER = "tiny_meter"
    UNKNOWN = "unknown"

    @property
    def title(self) -> str:
        """For messages, with an article."""
        return TITLES[self]


TITLES = {
    Kind.STUDENT: "a Lip Forcing student",
    Kind.TEACHER: "a bidirectional teacher",
    Kind.ADAPTER: "a LoRA adapter (OmniAvatar-LS teacher or training delta)",
    Kind.WAN_BASE: "a plain Wan 2.1 text-to-video model",
    Kind.WAN_VAE: "a Wan 2.1 VAE",
    Kind.TAEHV: "a TAEHV video autoencoder",
    Kind.WAV2VEC2: "a wav2vec2 audio encoder",
    Kind.SYNCNET: "a SyncNet",
    Kind.YUNET: "a YuNet face detector",
    Kind.TEXT_ENCODER: "a UMT5 text encoder",
    Kind.TEXT_EMBEDDING: "a precomputed text embedding",
    Kind.TINY_CODEC: "the codec of the tiny model family",
    Kind.TINY_METER: "the mouth meter of the tiny model family",
    Kind.UNKNOWN: "an unknown file",
}

# Official names that each kind has. The transformers are told apart by their input channels and audio path.
MARKS = {
    Kind.STUDENT: (
        "patch_embedding.weight",
        "text_embedding.0.weight",
        "time_projection.1.weight",
        "blocks.0.self_attn.q.weight",
        "blocks.0.modulation",
        "head.modulation",
        "audio_proj.proj.weight",
        "audio_cond_projs.0.weight",
    ),
    Kind.WAN_VAE: (
        "encoder.conv1.weight",
        "decoder.middle.0.residual.0.gamma",
        "decoder.head.2.weight",
        "conv1.weight",
        "conv2.weight",
    ),
    Kind.TAEHV: ("encoder.0.weight", "encoder.2.conv.weight", "decoder.1.weight", "decoder.3.conv.0.weight"),
    Kind.WAV2VEC2: (
        "wav2vec2.feature_extractor.conv_layers.0.conv.weight",
        "wav2vec2.feature_projection.projection.weight",
        "wav2vec2.encoder.layers.0.attention.q_proj.weight",
        "wav2vec2.encoder.layer_norm.weight",
    ),
    Kind.TEXT_ENCODER: (
        "shared.weight",
        "encoder.block.0.layer.0.SelfAttention.q.weight",
        # In every layer, which tells UMT5 from T5; gated, which tells it from the first T5.
        "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight",
        "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
        "encoder.final_layer_norm.weight",
    ),
    Kind.SYNCNET: ("netcnnlip.0.weight", "netcnnaud.0.weight", "netfclip.0.weight", "netfcaud.0.weight"),
    Kind.TINY_CODEC: ("encoder.linear.weight", "encoder.enter.weight", "decoder.leave.weight", "smooth.0.weight"),
    Kind.TINY_METER: ("convs.0.weight", "convs.1.weight", "out.weight"),
    Kind.YUNET: ("model0.conv1.weight", "model6.conv1.conv1.weight", "head.0.conv1.conv1.weight"),
}

# Neighbours that people mistake for these files: an official name that only they have.
NEIGHBOURS = {
    "img_emb.proj.0.bias": "a Wan 2.1 image-to-video model",
    "vace_patch_embedding.weight": "a Wan 2.1 VACE model",
    "control_adapter.conv.weight": "a Wan camera-control model",
    "casual_audio_encoder.encoder.final_linear.weight": "a Wan 2.2 speech-to-video model",
    "audio_proj.audio_proj_glob_1.layer.bias": "a HuMo model",
    "face_adapter.fuser_blocks.0.k_norm.weight": "a Wan 2.2 Animate model",
    "token_embedding.weight": "a UMT5 text encoder",
    "shared.weight": "a T5 text encoder",
    "encoder.block.0.layer.0.SelfAttention.q.weight": "a T5 text encoder",
    "text_model.embeddings.token_embedding.weight": "a CLIP text encoder",
    "double_blocks.0.img_mod.lin.weight": "a Flux or HunyuanVideo model",
    "input_blocks.0.0.weight": "a Stable Diffusion model",
}


@dataclass(frozen=True)
class Recognition:
    """What a file is.

    Attributes:
        kind: one of ``Kind``.
        found: in words, with an article; for unknown files the nearest guess.
        own: what the file says about itself.
    """

    kind: Kind
    found: str
    own: OwnMetadata


def recognise(source: TensorSource, own: OwnMetadata | None = None) -> Recognition:
    """Tell the kind of weights with official names (see ``layouts.with_official_names``).

    A student and a merged teacher have the same tensors; the metadata of files written here tells them apart, and a
    file without metadata counts as a student.
    """
    own = own or OwnMetadata()
    kind = next((test_kind for test_kind, test in _TESTS.items() if test(source)), Kind.UNKNOWN)
    if kind is Kind.STUDENT and own.kind == Kind.TEACHER.value:
        kind = Kind.TEACHER
    found = kind.title if kind is not Kind.UNKNOWN else _nearest(source)
    return Recognition(kind, found, own)


def transformer_size(source: TensorSource) -> str:
    """Size of a transformer or of an adapter for one, in words: "14B", "1.3B" or the width."""
    names = ("patch_embedding.weight", "blocks.0.self_attn.q.weight", "blocks.0.self_attn.q.lora_B.weight")
    width = next((source.spec(name).shape[0] for name in names if name in source and source.spec(name).shape), 0)
    return {5120: "14B", 1536: "1.3B"}.get(width, f"width {width}" if width else "")


def _has_all(source: TensorSource, kind: Kind) -> bool:
    return all(name in source for name in MARKS[kind])


def _channels(source: TensorSource, name: str, axis: int) -> int:
    shape = source.spec(name).shape if name in source else ()
    return shape[axis] if axis < len(shape) else 0


def _is_neighbour(source: TensorSource) -> bool:
    return any(name in source for name in NEIGHBOURS)


def _is_adapter(source: TensorSource) -> bool:
    layers = [name.removesuffix(A) for name in source if LORA_TARGET.match(name)]
    whole = all(f"{layer}.weight" in source for layer in layers)
    return bool(layers) and not whole and not _other_adapter(source)


def _other_adapter(source: TensorSource) -> list[str]:
    """Kinds of tensors that only other adapters have."""
    return sorted({found[1] for found in map(OTHER_ADAPTER.search, source) if found})


def _is_transformer(source: TensorSource) -> bool:
    layers = any(
        BLOCK_WEIGHT.match(name) and not (is_lora(name) or OTHER_ADAPTER.search(name) or name.endswith(".alpha"))
        for name in source
    )
    return layers and not _is_neighbour(source)


def _has_audio(source: TensorSource) -> bool:
    return any(name.startswith(("audio_proj.proj.", "audio_cond_projs.")) for name in source)


def _is_student(source: TensorSource) -> bool:
    inputs = _channels(source, "patch_embedding.weight", 1)
    # Without its patch embedding (zero) it is the audio path that tells; the loader will say what is missing.
    return _is_transformer(source) and (inputs == INPUT_CHANNELS or (inputs == 0 and _has_audio(source)))


def _is_base(source: TensorSource) -> bool:
    inputs = _channels(source, "patch_embedding.weight", 1)
    return _is_transformer(source) and not _has_audio(source) and inputs in (0, PLAIN_CHANNELS)


def _is_vae(source: TensorSource) -> bool:
    return _has_all(source, Kind.WAN_VAE) and _channels(source, "conv2.weight", 0) == LATENT_CHANNELS


def _is_taehv(source: TensorSource) -> bool:
    return _has_all(source, Kind.TAEHV) and _channels(source, "decoder.1.weight", 1) == LATENT_CHANNELS


def _is_text_embedding(source: TensorSource) -> bool:
    name = next((name for name in EMBEDDING_NAMES if name in source), None)
    if name is None or len(source) > len(EMBEDDING_NAMES):
        return False
    shape, dtype = source.spec(name).shape, source.spec(name).dtype
    return (
        len(shape) in (2, 3)
        and (len(shape) == 2 or shape[0] == 1)
        and shape[-2] <= MAX_TEXT_LEN
        and dtype.is_floating_point
    )


_TESTS = {
    Kind.ADAPTER: _is_adapter,
    Kind.STUDENT: _is_student,
    Kind.WAN_BASE: _is_base,
    Kind.WAN_VAE: _is_vae,
    Kind.TAEHV: _is_taehv,
    Kind.WAV2VEC2: lambda source: _has_all(source, Kind.WAV2VEC2),
    Kind.TEXT_ENCODER: lambda source: _has_all(source, Kind.TEXT_ENCODER),
    Kind.SYNCNET: lambda source: _has_all(source, Kind.SYNCNET),
    Kind.YUNET: lambda source: _has_all(source, Kind.YUNET),
    Kind.TINY_CODEC: lambda source: _has_all(source, Kind.TINY_CODEC),
    Kind.TINY_METER: lambda source: _has_all(source, Kind.TINY_METER),
    Kind.TEXT_EMBEDDING: _is_text_embedding,
}


def _nearest(source: TensorSource) -> str:
    """An unknown file in words."""
    for name, title in NEIGHBOURS.items():
        if name in source:
            return title
    other = _other_adapter(source)
    if other and not _is_transformer(source):
        model = "Wan" if any(BLOCK_WEIGHT.match(name) for name in source) else "another model"
        return f"a LoRA for {model} with {', '.join(other)} (Lip Forcing's have pairs of lora_A and lora_B alone)"
    if any(is_lora(name) or ".lora_" in name for name in source):
        return "a LoRA for another model"
    if _is_transformer(source):
        inputs = _channels(source, "patch_embedding.weight", 1)
        audio = "with" if _has_audio(source) else "without"
        return (
            f"a Wan transformer with {inputs} input channels {audio} audio path "
            f"(Lip Forcing: {INPUT_CHANNELS}, with; plain Wan 2.1: {PLAIN_CHANNELS}, without)"
        )
    if _has_all(source, Kind.WAN_VAE):
        return f"a Wan VAE with {_channels(source, 'conv2.weight', 0)} latent channels (Wan 2.1 has 16)"
    if _has_all(source, Kind.TAEHV):
        return f"a TAEHV with {_channels(source, 'decoder.1.weight', 1)} latent channels (Wan 2.1 has 16)"
    share = {kind: sum(name in source for name in marks) / len(marks) for kind, marks in MARKS.items()}
    best = max(share, key=lambda kind: share[kind])
    if share[best]:
        missing = next(name for name in MARKS[best] if name not in source)
        return f"an unknown file, nearest to {best.title} but without {missing!r}"
    first = ", ".join(repr(name[:60]) for name in list(source)[:3])
    return f"an unknown file (its tensors are {first}{', ...' if len(source) > 3 else ''})"
