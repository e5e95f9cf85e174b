"""The header of a safetensors file.

A file is 8 bytes of header length (little endian), the header (JSON: name -> dtype, shape, data_offsets relative to
its end, and an optional ``__metadata__`` of text), and the data, without holes or overlaps.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import torch
from safetensors import SafetensorError, safe_open

from ..errors import InputError
from .released import check_size, damaged
from .sources import Spec
from .storage import File, Stored, contiguous, is_shape

HEADER_BYTES = 16 << 20  # 60 times that of the 14B model; a header takes about 20 times its size in memory

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


def read_header(file: File) -> tuple[dict[str, Stored], dict[str, str]]:
    """Places of all tensors and the text metadata of a safetensors file.

    ``safe_open`` checks that sizes fit shapes and dtypes and that the tensors cover the data without overlap. It is not
    asked for the tensors: it maps the file writable or not at all, which a system may refuse for 28 GB.

    Raises:
        InputError: truncated or damaged in any way, or with a dtype that is not in ``DTYPES``.
    """
    start = 8 + int.from_bytes(file.read(0, 8), "little")
    if start > min(file.size, HEADER_BYTES):
        raise damaged(file, f"its header alone takes {start} bytes")
    try:
        header = json.loads(file.read(8, start - 8))
        metadata = header.pop("__metadata__", {})
        check_size(file, start + max((entry["data_offsets"][1] for entry in header.values()), default=0))
        with safe_open(file.path, "numpy"):
            return {name: _place(file, name, start, **entry) for name, entry in header.items()}, metadata
    except InputError:
        raise
    except (SafetensorError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise damaged(file, f"its header is wrong ({type(error).__name__}: {str(error)[:100]})") from None


def _place(file: File, name: str, start: int, dtype: str, shape: list[int], data_offsets: list[int]) -> Stored:
    """One entry of a header that ends at ``start``."""
    if dtype not in DTYPES or not is_shape(shape):
        raise InputError(
            f"{file.label}: tensor {name[:100]!r} is of dtype {dtype!r} and shape {str(shape)[:100]}, which is not "
            f"supported; convert it to one of {', '.join(DTYPES)}"
        )
    spec = Spec(tuple(shape), DTYPES[dtype])
    return Stored(file, start + data_offsets[0], spec, contiguous(spec.shape))


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
