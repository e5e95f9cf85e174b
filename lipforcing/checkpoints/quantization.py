"""Eight-bit weights with a scale per layer, in the formats that ComfyUI's mixed-precision layers read.

A quantised layer has ``weight`` in float8_e4m3fn, ``weight_scale`` (float32 scalar), weight = stored * scale, and an
entry in the safetensors metadata ``_quantization_metadata`` (the host's QUANTIZATION.md) or a ``comfy_quant`` tensor.
Older files call the scale ``scale_weight`` and mark themselves with a ``scaled_fp8`` tensor. In int8_tensorwise the
weight is int8, and there may be a scale for every row, [rows, 1]. We read both and write float8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ..errors import InputError
from .sources import Spec, TensorSource

METADATA_KEY = "_quantization_metadata"
FORMAT = "float8_e4m3fn"
FP8 = torch.float8_e4m3fn
DEQUANTISED = torch.bfloat16
FP8_DTYPES = (torch.float8_e4m3fn, torch.float8_e5m2)
INT8 = "int8_tensorwise"
FORMATS = {FORMAT: torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2, INT8: torch.int8}
EIGHT_BITS = (*FP8_DTYPES, torch.int8)
SCALE = ".weight_scale"
OLD_SCALE = ".scale_weight"
EXTRAS = (SCALE, OLD_SCALE, ".input_scale", ".scale_input", ".comfy_quant")
OLD_MARK = "scaled_fp8"

# The large matrix products of the blocks. Norms, modulation, embeddings, head, biases and the audio path are a
# thousandth of the weights and keep their precision.
QUANTISED = re.compile(r"^blocks\.\d+\.((self|cross)_attn\.[qkvo]|ffn\.[02])\.weight$")


def is_quantisable(name: str) -> bool:
    """Whether a weight (official name) is one of the blocks' large matrices."""
    return QUANTISED.match(name) is not None


def scale_of(blocks: Iterable[Tensor], label: str) -> float:
    """Scale that maps the largest magnitude in ``blocks`` to the largest float8 value.

    Raises:
        InputError: a value is not finite; ``label`` names file and tensor.
    """
    largest = 0.0
    for block in blocks:
        # Not max(): comparisons with NaN are false, so it would pass unseen.
        amax = block.float().abs().amax().item() if block.numel() else 0.0
        if not amax < float("inf"):
            raise InputError(f"{label} has values that are not finite; the checkpoint is broken, get another copy")
        largest = max(largest, amax)
    return torch.tensor(largest / torch.finfo(FP8).max).item() or 1.0


def quantise(block: Tensor, scale: float) -> Tensor:
    """Part of a weight in float8, rounded to the nearest."""
    limit = torch.finfo(FP8).max
    return (block.float() / scale).clamp(-limit, limit).to(FP8)


def quantization_metadata(layers: Iterable[str]) -> str:
    """Metadata text for layers (names without ``.weight``) in float8."""
    return json.dumps({"format_version": "1.0", "layers": {layer: {"format": FORMAT} for layer in layers}})


class Dequantised(TensorSource):
    """``source`` with its 8-bit weights multiplied out in bfloat16 and their scales gone; other tensors as they are.

    Args:
        source: official names.

    Raises:
        InputError: quantised in a format other than scaled float8 or int8.
    """

    def __init__(self, source: TensorSource) -> None:
        self.source = source
        self.metadata = source.metadata
        self.label = source.label
        _check_formats(source)
        self._specs = {name: source.spec(name) for name in source if not name.endswith(EXTRAS) and name != OLD_MARK}
        self._scales = {
            name: scale
            for name in self._specs
            for suffix in (SCALE, OLD_SCALE)
            if (scale := name.removesuffix(".weight") + suffix) in source
        }

    def spec(self, name: str) -> Spec:
        spec = self._specs[name]
        return Spec(spec.shape, DEQUANTISED) if spec.dtype in EIGHT_BITS else spec

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        rows = self.source.rows(name, start, stop)
        if rows.dtype not in EIGHT_BITS:
            return rows
        return (rows.float() * self._scale(name, start, stop)).to(DEQUANTISED)

    def _scale(self, name: str, start: int, stop: int) -> Tensor:
        """Of rows of a weight: a scalar, or [rows, 1]."""
        if name not in self._scales:
            return torch.ones(())
        scale = self._scales[name]
        if self.source.spec(scale).numel == 1:
            return self.source.rows(scale, 0, 1).float()
        return self.source.rows(scale, start, stop).float().reshape(-1, 1)

    def __getitem__(self, name: str) -> Tensor:
        return super().__getitem__(name) if self.source.spec(name).dtype in EIGHT_BITS else self.source[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


def _check_formats(source: TensorSource) -> None:
    formats = set()
    for name in source:
        if name.endswith(".comfy_quant"):
            formats |= _formats_in(_bytes(source, name), source.label)
    if METADATA_KEY in source.metadata:
        formats |= _formats_in(source.metadata[METADATA_KEY], source.label)
    foreign = formats - FORMATS.keys()
    for name in source:
        if name.endswith(".weight") and source.spec(name).dtype == torch.int8:
            told = INT8 in formats and name.removesuffix(".weight") + SCALE in source
            foreign |= set() if told else {"int8"}
    if foreign:
        raise InputError(
            f"{source.label} is quantised as {max(foreign)[:40]}, a format of ComfyUI's own loaders only; "
            "use the bf16 file or one in float8_e4m3fn"
        )
    for name in source:
        if name.endswith((SCALE, OLD_SCALE)):
            _check_scale(source, name)


def _bytes(source: TensorSource, name: str) -> bytes:
    """Text stored as a tensor; empty where it is no text or too long to be an entry."""
    spec = source.spec(name)
    if spec.dtype != torch.uint8 or len(spec.shape) != 1 or spec.nbytes >= 1 << 16:
        return b""
    return source.rows(name, 0, spec.shape[0]).numpy().tobytes()


def _check_scale(source: TensorSource, name: str) -> None:
    weight = name.removesuffix(SCALE).removesuffix(OLD_SCALE) + ".weight"
    spec = source.spec(weight) if weight in source else None
    scale = source.spec(name)
    by_rows = spec is not None and spec.dtype == torch.int8 and scale.shape in ((spec.shape[0], 1), spec.shape[:1])
    if spec is None or spec.dtype not in EIGHT_BITS or not (scale.numel == 1 or by_rows):
        raise InputError(
            f"{source.label} has {name!r}, but {weight!r} is not of 8 bits with one scale; use the bf16 file or one in "
            "float8_e4m3fn"
        )


def _formats_in(text: str | bytes, label: str) -> set[str]:
    """Formats named by the file's metadata (a table of layers) or by one layer's own entry; rotated weights have
    another one.
    """
    try:
        table = json.loads(text)
        entries = table.get("layers", {"": table}).values()
        return {f"{entry['format']}{' with convrot' * ('convrot' in str(entry))}" for entry in entries}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{label} has quantisation metadata that cannot be read; convert the bf16 file again"
        ) from None
