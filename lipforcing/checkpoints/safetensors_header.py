"""The header of a safetensors file, checked field by field before anything relies on it.

A file is 8 bytes of header length (little endian), the header (JSON: name -> dtype, shape, data_offsets relative to
its end, and an optional ``__metadata__`` of text), and the data, without holes or overlaps.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import InputError
from .sources import Spec
from .storage import Stored

HEADER_BYTES = 16 << 20  # 60 times that of the 14B model; a header takes about 20 times its size in memory
MAX_AXES = 16
MAX_COUNT = 1 << 48  # of anything; keeps products within what torch can count

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def looks_like_safetensors(start: bytes) -> bool:
    """Whether the first bytes of a file are a length followed by the brace of a JSON object."""
    return start[8:9] == b"{"


def read_header(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Places of all tensors and the text metadata of a safetensors file.

    Raises:
        InputError: truncated or damaged in any way, or with a dtype that is not in ``DTYPES``.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise InputError(f"{path.name} is truncated: {size} bytes; copy or download it again")
        length = struct.unpack("<Q", prefix)[0]
        if length > HEADER_BYTES:
            raise InputError(f"{path.name} is damaged or not safetensors: it declares a header of {length} bytes")
        if 8 + length > size:
            raise InputError(
                f"{path.name} is truncated: {size} bytes, but its header alone takes {8 + length}; "
                "copy or download it again"
            )
        header = _parse(file.read(length), path.name)
    metadata = _text_metadata(header.pop("__metadata__", {}), path.name)
    data_start = 8 + length
    tensors = {name: _place(path, name, entry, data_start, size) for name, entry in header.items()}
    _check_tiling(tensors, data_start, size, path.name)
    return tensors, metadata


def build_header(specs: Mapping[str, Spec], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, int]]:
    """Length and header of a file with these tensors, and each one's offset from the start of the file.

    Tensors are laid out by falling item size, then name, so that every one is aligned.
    """
    order = sorted(specs, key=lambda name: (-specs[name].dtype.itemsize, name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offsets, position = {}, 0
    for name in order:
        spec = specs[name]
        offsets[name] = position
        position += spec.nbytes
        header[name] = {
            "dtype": DTYPE_NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [offsets[name], position],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    start = 8 + len(text)
    return struct.pack("<Q", len(text)) + text, {name: start + offset for name, offset in offsets.items()}


def _parse(text: bytes, label: str) -> dict:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{label} is damaged: its header is not valid JSON ({str(error)[:100]}); copy or download it again"
        ) from None
    if not isinstance(header, dict):
        raise InputError(f"{label} is damaged: its header is not a table of tensors; copy or download it again")
    return header


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("the same name twice")
    return table


def _text_metadata(metadata: object, label: str) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise InputError(f"{label} is damaged: its metadata is not a table of text; copy or download it again")
    return metadata


def _place(path: Path, name: str, entry: object, data_start: int, size: int) -> Stored:
    """Check one entry of the header."""
    fields = entry if isinstance(entry, dict) else {}
    dtype_name, shape, offsets = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not (_counts(shape) and len(shape) <= MAX_AXES and _counts(offsets) and len(offsets) == 2):
        raise InputError(f"{path.name} is damaged: header entry of {name[:100]!r} is wrong; copy or download it again")
    if not isinstance(dtype_name, str) or dtype_name not in DTYPES:
        raise InputError(
            f"{path.name}: tensor {name[:100]!r} is of dtype {str(dtype_name)[:20]!r}, which is not supported; "
            f"convert it to one of {', '.join(DTYPES)}"
        )
    spec = Spec(tuple(shape), DTYPES[dtype_name])
    start, end = offsets
    if end - start != spec.nbytes:
        raise InputError(
            f"{path.name} is damaged: tensor {name[:100]!r} of {list(shape)} {dtype_name} has {end - start} bytes "
            f"instead of {spec.nbytes}; copy or download it again"
        )
    if data_start + end > size:
        raise InputError(
            f"{path.name} is truncated: {size} bytes, but tensor {name[:100]!r} ends at {data_start + end}; "
            "copy or download it again"
        )
    return Stored(path, data_start + start, spec)


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < MAX_COUNT for item in value)


def _check_tiling(tensors: Mapping[str, Stored], data_start: int, size: int, label: str) -> None:
    """Every byte of the data belongs to exactly one tensor."""
    position = data_start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].spec.nbytes)):
        if tensor.offset != position:
            kind = "overlaps another" if tensor.offset < position else "follows unused bytes"
            raise InputError(f"{label} is damaged: tensor {name[:100]!r} {kind}; copy or download it again")
        position += tensor.spec.nbytes
    if position != size:
        raise InputError(f"{label} is damaged: {size - position} bytes after the last tensor; copy it again")
