"""Folders of ``torch.distributed.checkpoint``: a ``.metadata`` pickle and ``*.distcp`` files with the pieces.

The pickle is read as data (see ``pickles``). It lists per tensor its shape and the corner of every piece, and per
piece the file and the byte range of a little ``torch.save`` archive.
"""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import InputError
from .pickles import PICKLE_BYTES, Instance, read_pickle
from .sources import Spec
from .storage import Sharded
from .torch_files import are_counts, read_zip

METADATA = ".metadata"


def read_distributed(folder: Path) -> dict[str, Sharded]:
    """Places of all tensors of a distributed checkpoint.

    Raises:
        InputError: the folder is incomplete or damaged.
    """
    file = folder / METADATA
    if file.stat().st_size > PICKLE_BYTES:
        raise InputError(f"{folder.name}/{METADATA} has {file.stat().st_size} bytes, which no checkpoint needs")
    tree, _ = read_pickle(file.read_bytes(), f"{folder.name}/{METADATA}")
    tensors = _fields(tree).get("state_dict_metadata")
    storage = _fields(tree).get("storage_data")
    if not isinstance(tensors, dict) or not isinstance(storage, dict):
        raise _damaged(folder)
    places: dict[str, list] = {}
    for index, info in storage.items():
        name, corner = _fields(index).get("fqn"), _fields(index).get("offset")
        places.setdefault(name, []).append((corner, _fields(info)))
    found = {
        name: _tensor(folder, name, entry, places.get(name, []))
        for name, entry in tensors.items()
        if isinstance(entry, Instance) and entry.type.endswith(".TensorStorageMetadata")
    }
    if not found:
        raise InputError(f"{folder.name} holds no tensors; expected a checkpoint")
    return found


def _tensor(folder: Path, name: str, entry: Instance, parts: list) -> Sharded:
    shape = _fields(entry).get("size")
    if not are_counts(shape):
        raise _damaged(folder)
    pieces = []
    for corner, info in parts:
        corner = (0,) * len(shape) if corner is None else corner
        stored = _piece(folder, info)
        if not are_counts(corner) or len(corner) != len(shape) or len(stored.spec.shape) != len(shape):
            raise _damaged(folder)
        if any(at + size > whole for at, size, whole in zip(corner, stored.spec.shape, shape)):
            raise _damaged(folder)
        pieces.append((corner, stored))
    dtypes = {stored.spec.dtype for _, stored in pieces}
    if len(dtypes) != 1 or sum(stored.spec.numel for _, stored in pieces) != math.prod(shape):
        raise InputError(f"{folder.name} is incomplete: pieces of tensor {name[:100]!r} are missing; copy all files")
    return Sharded(Spec(shape, dtypes.pop()), tuple(pieces))


def _piece(folder: Path, info: dict):
    file_name, offset, length = info.get("relative_path"), info.get("offset"), info.get("length")
    if not isinstance(file_name, str) or not are_counts((offset, length)) or info.get("transform_descriptors"):
        raise _damaged(folder)
    # Only files of this folder, whatever the metadata says.
    path = folder / Path(file_name).name
    if not path.is_file() or offset + length > path.stat().st_size:
        raise InputError(f"{folder.name} is incomplete: {path.name} is missing or too short; copy all its files")
    tensors = read_zip(path, offset, length)
    if len(tensors) != 1:
        raise _damaged(folder)
    return next(iter(tensors.values()))


def _fields(value: object) -> dict:
    """Attributes of a described object."""
    return value.state if isinstance(value, Instance) and isinstance(value.state, dict) else {}


def _damaged(folder: Path) -> InputError:
    return InputError(f"{folder.name} is damaged or not a distributed checkpoint; copy all its files again")
