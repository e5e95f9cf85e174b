"""The network that belongs to each kind of file, and the tensors it expects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..audio.wav2vec2 import POSITION_CONV, Wav2Vec2, Wav2Vec2Config, encoder_state_dict
from ..codecs.taehv import TAEHV
from ..codecs.taehv import taew2_1 as taehv_published
from ..codecs.taehv import tiny as taehv_tiny
from ..codecs.tiny import TinyCodec
from ..codecs.wan_vae import WanVAE, WanVAEConfig
from ..errors import InputError
from ..models.config import WanConfig
from ..models.syncnet import SyncNet, SyncNetConfig
from ..models.transformer import WanTransformer
from .configs import OwnMetadata, tiny_codec_config, wan_config, wav2vec2_config
from .detect import INPUT_CHANNELS, Kind
from .layouts import WAV2VEC2
from .sources import InMemory, Renamed, TensorSource
from .umt5 import UMT5Size, umt5_size

WEIGHT_NORM = tuple(WAV2VEC2 + POSITION_CONV + half for half in ("weight_g", "weight_v"))
TRANSFORMERS = (Kind.STUDENT, Kind.TEACHER)
NETWORKS = (*TRANSFORMERS, Kind.WAN_VAE, Kind.TAEHV, Kind.WAV2VEC2, Kind.SYNCNET, Kind.TINY_CODEC)
SIZED = (*TRANSFORMERS, Kind.WAN_BASE, Kind.WAV2VEC2, Kind.TEXT_ENCODER)  # sizes vary and are read from the tensors


def config_for(kind: Kind, source: TensorSource, own: OwnMetadata | None = None) -> Any:
    """Configuration of the network in ``source`` (official names); None where its tensors do not tell.

    Raises:
        InputError: the file's metadata contradicts its tensors.
    """
    if kind in (*TRANSFORMERS, Kind.WAN_BASE):
        return wan_config(source, own or OwnMetadata())
    if kind is Kind.WAV2VEC2:
        return wav2vec2_config(source, own or OwnMetadata())
    if kind is Kind.WAN_VAE:
        return WanVAEConfig(dim=source.spec("encoder.conv1.weight").shape[0])
    if kind is Kind.TAEHV:
        return _best_fit(kind, (taehv_published(), taehv_tiny()), source)
    if kind is Kind.TINY_CODEC:
        return tiny_codec_config(source)
    if kind is Kind.SYNCNET:
        return _best_fit(kind, (SyncNetConfig.v2(), SyncNetConfig.tiny(), SyncNetConfig.tiny_logmel()), source)
    if kind is Kind.TEXT_ENCODER:
        return umt5_size(source)
    return None


def build(kind: Kind, config: Any, device: torch.device | None = None) -> nn.Module:
    """The network of ``kind`` with ``config``, its parameters not yet loaded.

    Raises:
        InputError: the number of attention heads is not known.
    """
    if kind in TRANSFORMERS:
        _check_heads(config.num_heads, config.dim)
        return WanTransformer(config, device=device)
    if kind is Kind.WAV2VEC2:
        _check_heads(config.heads, config.width)
        return Wav2Vec2(config, device=device)
    if kind is Kind.WAN_VAE:
        return WanVAE(config, device=device)
    if kind is Kind.TAEHV:
        return TAEHV(config, device=device)
    if kind is Kind.TINY_CODEC:
        return TinyCodec(config, device=device)
    if kind is Kind.SYNCNET:
        return SyncNet(config, device=device)
    raise ValueError(f"{kind.title} has no network of its own")


def expected_shapes(kind: Kind, config: Any) -> dict[str, tuple[int, ...]]:
    """Official names and shapes of every tensor that a file of ``kind`` with ``config`` has; empty where not fixed.

    The network itself is asked, on the meta device: no memory, no second list of names to maintain.
    """
    if config is None:
        return {}
    if isinstance(config, UMT5Size):  # the one network that is not ours, see lipforcing/text.py
        return config.shapes()
    if kind is Kind.WAN_BASE:
        full = expected_shapes(Kind.STUDENT, replace(config, in_dim=INPUT_CHANNELS))
        plain = {
            name: shape for name, shape in full.items() if not name.startswith(("audio_proj.", "audio_cond_projs."))
        }
        weight = plain["patch_embedding.weight"]
        return plain | {"patch_embedding.weight": (weight[0], config.in_dim, *weight[2:])}
    # No shape depends on the number of heads, so it need not be known here.
    if isinstance(config, WanConfig) and config.num_heads == 0:
        config = replace(config, num_heads=1)
    if isinstance(config, Wav2Vec2Config) and config.heads == 0:
        config = replace(config, heads=1)
    network = build(kind, config, device=torch.device("meta"))
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def for_network(kind: Kind, weights: TensorSource) -> TensorSource:
    """``weights`` as the network wants them, where that is not as the published file has them."""
    if kind is not Kind.WAV2VEC2:
        return weights
    g, v = (weights.spec(name).shape if name in weights else () for name in WEIGHT_NORM)
    if len(v) == 3 and g == (1, 1, v[2]):
        return InMemory(encoder_state_dict(dict(weights)), weights.metadata, weights.label)
    # Not foldable: let the comparison with the network say what is wrong.
    return Renamed(weights, {name.removeprefix(WAV2VEC2): name for name in weights})


def _check_heads(heads: int, width: int) -> None:
    if heads == 0:
        raise InputError(
            f"the number of attention heads of a transformer of width {width} is not in its tensors; "
            "use a file whose metadata says it, as the trainer and the converter write it"
        )


def _best_fit(kind: Kind, presets: tuple, source: TensorSource) -> Any:
    """The preset whose network shares the most names and shapes with ``source``."""
    shapes = source.shapes
    return max(presets, key=lambda preset: len(expected_shapes(kind, preset).items() & shapes.items()))
