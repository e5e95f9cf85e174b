"""Sizes of a network from the shapes of its tensors, or from what our own files say about themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any

from ..audio.wav2vec2 import Wav2Vec2Config
from ..codecs.tiny import TinyCodecConfig
from ..errors import InputError
from ..models.config import PATCH, WanConfig
from ..sampling.schedules import check_schedule
from ..timeline import TEMPORAL_FACTOR
from .files import FOLDER_CONFIG
from .layouts import WAV2VEC2
from .sources import TensorSource

METADATA_KEY = "lipforcing"
OFFICIAL_HEAD_DIM = 128
BLOCK = re.compile(r"^blocks\.(\d{1,6})\.")
ENCODER_BLOCK = re.compile(r"^encoder\.blocks\.(\d{1,6})\.")
DECODER_BLOCK = re.compile(r"^decoder\.blocks\.(\d{1,6})\.")
WAV2VEC2_LAYER = re.compile(r"^wav2vec2\.encoder\.layers\.(\d{1,6})\.")
HIDDEN = ("num_heads", "text_len", "eps")  # fields of WanConfig that no shape shows


@dataclass(frozen=True)
class OwnMetadata:
    """What files written by this project say about themselves (JSON under ``METADATA_KEY``).

    Attributes:
        kind: value of ``detect.Kind``, empty where not said.
        config: sizes by field name.
        schedule: sigmas that the student was distilled for, empty where not said.
        rest: everything else.
    """

    kind: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    schedule: tuple[float, ...] = ()
    rest: dict[str, Any] = field(default_factory=dict)

    def to_text(self) -> str:
        """The metadata entry."""
        entries = {"kind": self.kind, "config": self.config, "schedule": list(self.schedule)}
        return json.dumps({name: value for name, value in entries.items() if value} | self.rest)


def own_metadata(metadata: Mapping[str, str], label: str) -> OwnMetadata:
    """Parse the entry of a file; empty where it has none.

    Raises:
        InputError: the entry is not what this project writes, or its schedule is none.
    """
    if METADATA_KEY not in metadata:
        return OwnMetadata()
    try:
        table = json.loads(metadata[METADATA_KEY])
        kind, config = table.pop("kind", ""), table.pop("config", {})
        schedule = tuple(float(sigma) for sigma in table.pop("schedule", ()))
        if not isinstance(kind, str) or not isinstance(config, dict):
            raise TypeError
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{label} has a {METADATA_KEY!r} entry that cannot be read; convert it again") from None
    if schedule:
        check_schedule(schedule, f"The schedule in {label} is {' '.join(f'{sigma:g}' for sigma in schedule)}")
    return OwnMetadata(kind, config, schedule, table)


def as_table(config: object) -> dict[str, Any]:
    """Fields of a configuration for ``OwnMetadata.config``, without a head count that is not known."""
    table = asdict(config) if is_dataclass(config) else {}
    return {name: value for name, value in table.items() if value or "heads" not in name}


def _count(pattern: re.Pattern, names: Iterable[str]) -> int:
    """Number of blocks or layers: one more than the highest index, unless most are missing."""
    found = {int(match[1]) for name in names if (match := pattern.match(name))}
    highest = 1 + max(found, default=-1)
    return highest if highest <= 2 * len(found) else len(found)


def wan_config(source: TensorSource, own: OwnMetadata) -> WanConfig | None:
    """Sizes of a Wan transformer with official names; None where the tensors that tell them are missing.

    Head count and text length do not show in shapes: they come from the file's metadata, else they are the official
    ones (heads of 128, 512 positions). ``num_heads`` is 0 where the width is no multiple of 128 and the metadata says
    nothing. The audio sizes of a plain Wan model are those of the published student.

    Raises:
        InputError: the metadata contradicts the shapes.
    """

    def shape(name: str, axes: int) -> tuple[int, ...] | None:
        found = source.spec(name).shape if name in source else ()
        return found if len(found) == axes else None

    patch, head = shape("patch_embedding.weight", 5), shape("head.head.weight", 2)
    text, time = shape("text_embedding.0.weight", 2), shape("time_embedding.0.weight", 2)
    ffn = shape("blocks.0.ffn.0.weight", 2)
    if patch is None or head is None or text is None or time is None or ffn is None:
        return None
    audio = shape("audio_proj.proj.weight", 2)
    config = WanConfig(
        dim=patch[0],
        ffn_dim=ffn[0],
        num_heads=_official_heads(patch[0], OFFICIAL_HEAD_DIM),
        num_layers=_count(BLOCK, source),
        in_dim=patch[1],
        out_dim=head[0] // PATCH**2,
        text_dim=text[1],
        freq_dim=time[1],
        **({"audio_hidden": audio[0], "audio_dim": audio[1] // TEMPORAL_FACTOR} if audio else {}),
    )
    return _with_own(config, own, source.label)


def tiny_codec_config(source: TensorSource) -> TinyCodecConfig:
    """Sizes of a tiny codec; the default ones where the tensors that tell them are missing."""

    def outputs(name: str, default: int) -> int:
        return source.spec(name).shape[0] if name in source else default

    usual = TinyCodecConfig()
    return TinyCodecConfig(
        latent_channels=outputs("encoder.linear.weight", usual.latent_channels),
        width=outputs("encoder.enter.weight", usual.width),
        blocks=_count(ENCODER_BLOCK, source) or usual.blocks,
        decoder_width=outputs("decoder.enter.weight", usual.decoder_width),
        decoder_blocks=_count(DECODER_BLOCK, source) or usual.decoder_blocks,
        smooth_width=outputs("smooth.0.weight", usual.smooth_width),
        fine=outputs("fine.mix_quarter.weight", 0),
    )


def _with_own(config: WanConfig, own: OwnMetadata, label: str) -> WanConfig:
    """Add what shapes do not show."""
    shown = {name: value for name, value in asdict(config).items() if name not in HIDDEN}
    wrong = next((name for name, value in shown.items() if own.config.get(name, value) != value), None)
    hidden = {name: own.config[name] for name in HIDDEN if name in own.config}
    if wrong is None and all(type(value) in (int, float) and value > 0 for value in hidden.values()):
        config = replace(config, **hidden)
        if config.num_heads == 0 or config.dim % (2 * config.num_heads) == 0:
            return config
    raise InputError(
        f"{label} says of itself {str(own.config)[:200]}, which does not fit its tensors "
        f"({wrong or 'head count'}); convert it again from its source"
    )


def wav2vec2_config(source: TensorSource, own: OwnMetadata) -> Wav2Vec2Config | None:
    """Sizes of a wav2vec2 encoder with published names; None where the tensors that tell them are missing.

    The number of heads comes from the file's own metadata or the ``config.json`` beside it, else heads are 64 wide as
    in the published models; it is 0 where that does not divide the width.
    """

    def shape(name: str, axes: int) -> tuple[int, ...]:
        found = source.spec(WAV2VEC2 + name).shape if WAV2VEC2 + name in source else ()
        return found if len(found) == axes else ()

    projection = shape("feature_projection.projection.weight", 2)
    feed_forward = shape("encoder.layers.0.feed_forward.intermediate_dense.weight", 2)
    position = shape("encoder.pos_conv_embed.conv.weight_v", 3) or shape("encoder.pos_conv_embed.conv.weight", 3)
    convolutions = []
    while conv := shape(f"feature_extractor.conv_layers.{len(convolutions)}.conv.weight", 3):
        convolutions.append(conv)
    if not (projection and feed_forward and position and position[1] and convolutions):
        return None
    width = projection[0]
    heads = own.config.get("heads", _hugging_face_heads(source))
    return Wav2Vec2Config(
        width=width,
        layers=_count(WAV2VEC2_LAYER, source),
        heads=heads if type(heads) is int and heads > 0 and width % heads == 0 else _official_heads(width, 64),
        feed_forward=feed_forward[0],
        conv_channels=tuple(conv[0] for conv in convolutions),
        conv_kernels=tuple(conv[2] for conv in convolutions),
        conv_strides=(5,) + (2,) * (len(convolutions) - 1),
        position_kernel=position[2],
        position_groups=max(1, width // position[1]),
    )


def _hugging_face_heads(source: TensorSource) -> object:
    try:
        return json.loads(source.metadata[FOLDER_CONFIG])["num_attention_heads"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


def _official_heads(width: int, head_dim: int) -> int:
    return 0 if width % head_dim else width // head_dim
