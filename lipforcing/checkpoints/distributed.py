"""Folders of ``torch.distributed.checkpoint``: a ``.metadata`` pickle and ``*.distcp`` files with the pieces.

The pickle is read as data (see ``pickles``). It lists per tensor its shape and the corner of every piece, and per
piece the file and the byte range of a little ``torch.save`` archive.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ..errors import InputError
from .pickles import PICKLE_BYTES, read_pickle
from .sources import Spec
from .storage import File, Sharded, Stored, are_counts, is_shape
from .torch_files import read_zip

METADATA = ".metadata"


def read_distributed(folder: Path) -> dict[str, Sharded]:
    """Places of all tensors of a distributed checkpoint.

    Raises:
        InputError: the folder is incomplete or damaged.
    """
    file = File(folder / METADATA, f"{folder.name}/{METADATA}")
    tree = read_pickle(io.BytesIO(file.read(0, PICKLE_BYTES)), file)
    try:
        places: dict[str, list] = {}
        for index, info in tree.state["storage_data"].items():
            places.setdefault(index.state["fqn"], []).append((index.state.get("offset"), info.state))
        files = lru_cache(None)(File)  # each is mapped once
        found = {
            name: _tensor(folder, files, name, entry.state["size"], places.get(name, []))
            for name, entry in tree.state["state_dict_metadata"].items()
            if isinstance(name, str) and entry.name.endswith(".TensorStorageMetadata")
        }
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):  # the pickle describes something else
        raise InputError(
            f"{folder.name} is damaged or not a distributed checkpoint; copy all its files again"
        ) from None
    if not found:
        raise InputError(f"{folder.name} holds no tensors; expected a checkpoint")
    return found


def _tensor(folder: Path, files: Callable[[Path], File], name: str, shape: list, parts: list) -> Sharded:
    """The tensor of a name from the corners of its pieces and where they are."""
    pieces = []
    for corner, info in parts:
        corner = (0,) * len(shape) if corner is None else tuple(corner)
        piece = _piece(folder, files, info)
        ends = [at + size for at, size in zip(corner, piece.spec.shape)]
        if not (is_shape(shape) and are_counts(corner)) or len(corner) != len(shape) or len(ends) != len(shape):
            raise ValueError
        if any(end > size for end, size in zip(ends, shape)):
            raise ValueError
        pieces.append((corner, piece))
    dtypes = {piece.spec.dtype for _, piece in pieces}
    if len(dtypes) != 1 or sum(piece.spec.numel for _, piece in pieces) != math.prod(shape):
        raise InputError(f"{folder.name} is incomplete: pieces of tensor {name[:100]!r} are missing; copy all files")
    return Sharded(Spec(tuple(shape), dtypes.pop()), tuple(pieces))


def _piece(folder: Path, files: Callable[[Path], File], info: dict) -> Stored:
    start, length = info["offset"], info["length"]
    if not are_counts([start, length]) or info.get("transform_descriptors"):
        raise ValueError
    path = folder / Path(info["relative_path"]).name  # only files of this folder, whatever the metadata says
    if not path.is_file() or start + length > files(path).size:
        raise InputError(f"{folder.name} is incomplete: {path.name} is missing or too short; copy all its files")
    (piece,) = read_zip(files(path), start, length).values()
    return piece
