"""Names of tensors in the files people have, mapped to the names of the official checkpoints.

Trainers, exporters and hosts wrap the same tensors in dicts and prefixes, and diffusers names the parts of Wan
differently (docs/model.md, Parameter names). Every function here is a pure map of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..codecs.wan_vae_keys import DIFFUSERS_MARK, FLAT_MARK, normalise_vae_keys
from ..errors import InputError
from .sources import Renamed, TensorSource
from .umt5 import EMBEDDING, TIED, is_umt5, official_umt5_name

# Dicts around the model. What lies beside the model in the same dict (optimizer, other networks) is left out.
WRAPPERS = ("model.net.", "model.diffusion_model.", "net.", "model_state_dict.", "state_dict.", "first_stage_model.")
# Attributes that the model was under when it was saved. Taken off each name that has them.
PREFIXES = ("_core.", "base_model.model.", "diffusion_model.", "model.", "module.", "transformer.", "pipe.dit.", "vae.")
BESIDE_MODEL = ("optimizer", "optimizers", "scheduler", "lr_scheduler", "callbacks", "scaler", "ema", "dataloader")

DIFFUSERS_PARTS = (
    (re.compile(r"^condition_embedder\.time_embedder\.linear_1\."), "time_embedding.0."),
    (re.compile(r"^condition_embedder\.time_embedder\.linear_2\."), "time_embedding.2."),
    (re.compile(r"^condition_embedder\.text_embedder\.linear_1\."), "text_embedding.0."),
    (re.compile(r"^condition_embedder\.text_embedder\.linear_2\."), "text_embedding.2."),
    (re.compile(r"^condition_embedder\.time_proj\."), "time_projection.1."),
    (re.compile(r"^proj_out\."), "head.head."),
    (re.compile(r"^scale_shift_table$"), "head.modulation"),
    (re.compile(r"^(blocks\.\d+)\.scale_shift_table$"), r"\1.modulation"),
    (re.compile(r"^(blocks\.\d+)\.attn1\."), r"\1.self_attn."),
    (re.compile(r"^(blocks\.\d+)\.attn2\."), r"\1.cross_attn."),
    (re.compile(r"^(blocks\.\d+\.(?:self|cross)_attn)\.to_([qkv])\."), r"\1.\2."),
    (re.compile(r"^(blocks\.\d+\.(?:self|cross)_attn)\.to_out\.0\."), r"\1.o."),
    (re.compile(r"^(blocks\.\d+)\.ffn\.net\.0\.proj\."), r"\1.ffn.0."),
    (re.compile(r"^(blocks\.\d+)\.ffn\.net\.2\."), r"\1.ffn.2."),
)
DIFFUSERS_SIGN = re.compile(r"^condition_embedder\.|^blocks\.\d+\.(attn[12]\.|ffn\.net\.|scale_shift_table$)")
NORM = re.compile(r"^(blocks\.\d+)\.norm([23])\.")
WAV2VEC2_SIGN = "feature_extractor.conv_layers.0.conv.weight"
WAV2VEC2 = "wav2vec2."
# torch's newer name for the two halves of a weight-normalised convolution
WEIGHT_NORM = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
TABLES = re.compile(r"(^|\.)(rope|freqs|freqs_cos|freqs_sin)(\.|$)")


@dataclass(frozen=True)
class Layout:
    """How the names of a file map to the official ones.

    Attributes:
        names: official name -> name in the file.
        prefix: what was taken off, for example ``"model.net._core."``; empty for flat files.
        diffusers: whether the parts had diffusers' names.
        ignored: names in the file that do not belong to the model.
    """

    names: dict[str, str]
    prefix: str = ""
    diffusers: bool = False
    ignored: tuple[str, ...] = field(default=())

    def describe(self) -> str:
        """For example "flat", "prefix net._core." or "diffusers"."""
        parts = [f"prefix {self.prefix}"] if self.prefix else []
        return ", ".join(parts + ["diffusers"] * self.diffusers) or "flat"


def find_layout(names: Iterable[str]) -> Layout:
    """Map the names of a file to the official names, whatever wraps them.

    All names are looked at, not only the first. LoRA tensors come out as ``*.lora_A.weight`` and ``*.lora_B.weight``.

    Raises:
        ValueError: two names of the file mean the same tensor.
    """
    everything = set(names)
    prefix, current = _unwrapped(everything)
    vae = any(name.endswith((FLAT_MARK, DIFFUSERS_MARK)) for name in current)
    diffusers = any(DIFFUSERS_SIGN.search(name) or name.endswith(DIFFUSERS_MARK) for name in current)
    if vae:
        current = _renamed((official, current[name]) for name, official in normalise_vae_keys(current).items())
    elif any(name.endswith(WAV2VEC2_SIGN) for name in current):
        current = _renamed((plain_wav2vec2_name(name), file) for name, file in current.items())
        current = {name: file for name, file in current.items() if name.startswith(WAV2VEC2)}
    elif is_umt5(current):
        if EMBEDDING in current:
            current.pop(TIED, None)
        pairs = ((official_umt5_name(name), file) for name, file in current.items())
        current = _renamed((name, file) for name, file in pairs if name)
    else:
        to_native = diffusers_to_native if diffusers else str
        current = _renamed((plain_lora_name(to_native(name)), file) for name, file in current.items())
        current = {name: file for name, file in current.items() if not TABLES.search(name)}
    return Layout(current, prefix, diffusers, tuple(sorted(everything - set(current.values()))))


def _unwrapped(names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """What was taken off in front, and name without it -> name in the file."""
    current = {name: name for name in names}
    prefix = ""
    while True:
        wrapper = next((w for w in WRAPPERS if any(name.startswith(w) for name in current)), None)
        if wrapper:
            current = {name[len(wrapper) :]: file for name, file in current.items() if name.startswith(wrapper)}
            prefix += wrapper
            continue
        common = next((p for p in PREFIXES if any(name.startswith(p) for name in current)), None)
        if common is None:
            break
        current = _renamed((name.removeprefix(common), file) for name, file in current.items())
        prefix += common
    return prefix, {name: file for name, file in current.items() if name.partition(".")[0] not in BESIDE_MODEL}


def with_official_names(source: TensorSource) -> tuple[TensorSource, Layout]:
    """``source`` under the official names, and the layout it had.

    Raises:
        InputError: two of its names mean the same tensor.
    """
    try:
        layout = find_layout(source)
    except ValueError as error:
        raise InputError(f"{source.label} is a mix of two checkpoints: {error}; keep one of them") from None
    return Renamed(source, layout.names), layout


def diffusers_to_native(name: str) -> str:
    """Official name of a tensor of Wan 2.1 in diffusers' layout.

    diffusers calls the affine norm before cross-attention ``norm2``; officially it is ``norm3``, so the two swap.
    """
    for pattern, native in DIFFUSERS_PARTS:
        name = pattern.sub(native, name)
    return NORM.sub(lambda match: f"{match[1]}.norm{5 - int(match[2])}.", name)


def plain_wav2vec2_name(name: str) -> str:
    """Name of a wav2vec2 tensor in the published checkpoint; heads for other tasks keep theirs."""
    for new, published in WEIGHT_NORM.items():
        name = name.replace(new, published)
    part = name.partition(".")[0]
    return (
        WAV2VEC2 + name if part in ("feature_extractor", "feature_projection", "encoder", "masked_spec_embed") else name
    )


def plain_lora_name(name: str) -> str:
    """Name of a LoRA tensor without the adapter name and wrapper layer that PEFT puts in."""
    return re.sub(r"\.(lora_[AB])\.default\.", r".\1.", name).replace(".base_layer.", ".")


def _renamed(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    names: dict[str, str] = {}
    for name, file in pairs:
        if name in names:
            raise ValueError(f"{names[name][:100]!r} and {file[:100]!r} mean the same tensor")
        names[name] = file
    return names
