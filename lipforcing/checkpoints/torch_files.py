"""Files of ``torch.save``: the zip archives of today and the concatenated pickles from before torch 1.6.

Both are a pickle that describes tensors over storages, and the storages' raw bytes. The pickle is read as data (see
``pickles``); tensors become places in the file. Storages in zip archives are never compressed, so a small file can
not unfold into a large one.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError
from .pickles import PICKLE_BYTES, Named, read_pickle
from .released import check_size, damaged
from .sources import Spec
from .storage import File, Stored, are_counts, is_shape, reach

ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a pickle of torch's magic number
LEGACY_VERSION = 1001
LOCAL_HEADER = struct.Struct("<26xHH")  # in front of a zip's entry; lengths of the name and of the padding behind it
DIRECTORY_BYTES = 16 << 20  # of the zip's list of entries, 100,000 storages
MAX_VALUES = 200_000
MAX_DEPTH = 16
MAX_NAME = 512
BARE = "tensor"  # name of a tensor that is saved without a dict around it
DTYPES = {
    **{"Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16},
    **{"Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8},
    **{"Bool": torch.bool, "ComplexFloat": torch.complex64, "Untyped": torch.uint8},
}


@dataclass(frozen=True)
class Storage:
    """What a pickle says of a storage: dtype and number of its elements."""

    dtype: torch.dtype
    count: int

    @property
    def nbytes(self) -> int:
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class Dense:
    """A tensor as a pickle describes it: on the storage of a key, ``first`` bytes behind its beginning."""

    key: str
    first: int
    spec: Spec
    stride: tuple[int, ...]


def read_zip(file: File, start: int = 0, length: int | None = None) -> dict[str, Stored]:
    """Places of all tensors of a ``torch.save`` archive, by dotted path through its dicts.

    Args:
        file: the file.
        start, length: the part of the file that is the archive, by default all of it.

    Raises:
        InputError: truncated, damaged, compressed, not a checkpoint, or with anything but data in its pickle.
    """
    try:
        entries = zipfile.ZipFile(Section(file, start, file.size - start if length is None else length)).infolist()
    # Python's reader fails on a damaged directory in each of these ways.
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, IndexError, struct.error):
        raise _without_directory(file, start) from None
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise InputError(
            f"{file.label} is a zip archive with compressed entries, which PyTorch never writes; if it contains the "
            "checkpoint, unpack it first"
        )
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(sizes) != len(entries):
        raise damaged(file, "its zip directory has an entry twice")
    folders = [name.removesuffix("data.pkl") for name in sizes if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(folders) != 1:
        raise InputError(f"{file.label} is a zip archive but not a PyTorch checkpoint: it has no data.pkl")
    folder = folders[0]
    if f"{folder}constants.pkl" in sizes:
        raise InputError(f"{file.label} is a TorchScript program, not a checkpoint; save its state dict instead")
    places = {entry.filename: _behind_header(file, start + entry.header_offset) for entry in entries}

    def content(name: str) -> bytearray:
        return file.read(places.get(folder + name, 0), min(sizes.get(folder + name, 0), PICKLE_BYTES))

    if content("byteorder") not in (b"", b"little"):
        raise _big_endian(file)
    storages: dict[str, Storage] = {}
    tree = _read(file, io.BytesIO(content("data.pkl")), storages)
    for key, storage in storages.items():
        name = f"{folder}data/{key}"
        if storage.nbytes > sizes.get(name, -1) or not 0 <= places[name] <= file.size - storage.nbytes:
            raise damaged(file, "data of its tensors is missing")
    return _tensors(file, tree, {key: places[f"{folder}data/{key}"] for key in storages})


def _without_directory(file: File, start: int) -> InputError:
    """What to say of a zip archive without its end: its first entry is the pickle, which tells what should follow."""
    storages: dict[str, Storage] = {}
    start = _behind_header(file, start)
    stream = io.BytesIO(file.read(start, PICKLE_BYTES))
    _read(file, stream, storages)
    needed = start + stream.tell() + sum(storage.nbytes for storage in storages.values())
    check_size(file, needed, len(storages))
    return damaged(file, "the directory at the end of the zip archive cannot be read")


def _behind_header(file: File, start: int) -> int:
    """Where the content of the zip entry begins whose header is at ``start``."""
    header = file.read(start, LOCAL_HEADER.size).ljust(LOCAL_HEADER.size)
    return start + LOCAL_HEADER.size + sum(LOCAL_HEADER.unpack(header))


def read_legacy(file: File) -> dict[str, Stored]:
    """Places of all tensors of a checkpoint from before torch 1.6.

    After the pickles of magic number, version, platform, contents and list of storage keys follow the storages in the
    order of that list, each with its element count (8 bytes) before its data.

    Raises:
        InputError: truncated, damaged, or with anything but data in its pickles.
    """
    storages: dict[str, Storage] = {}
    stream = io.BytesIO(file.read(0, PICKLE_BYTES))
    _, version, platform, tree, keys = (_read(file, stream, storages) for _ in range(5))
    if isinstance(platform, dict) and platform.get("little_endian") is False:
        raise _big_endian(file)
    keys = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    if version != LEGACY_VERSION or sorted(keys) != sorted(storages):
        raise damaged(file, "its parts are not those of a torch.save file")
    places, position = {}, stream.tell()
    check_size(file, position + sum(8 + storage.nbytes for storage in storages.values()))
    for key in keys:
        if int.from_bytes(file.read(position, 8), "little") != storages[key].count:
            raise damaged(file, "data of its tensors is not where it should be")
        places[key] = position + 8
        position = places[key] + storages[key].nbytes
    return _tensors(file, tree, places)


def _big_endian(file: File) -> InputError:
    return InputError(f"{file.label} was saved on a big-endian machine; save it again on an ordinary one")


class Section:
    """Bytes [start, start + length) of a file, as the file that ``zipfile`` reads a little at a time."""

    def __init__(self, file: File, start: int, length: int) -> None:
        self.file, self.start, self.length, self.position = file, start, length, 0

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}[whence]
        return self.position

    def read(self, count: int = 1 << 62) -> bytearray:
        count = max(0, min(count, self.length - self.position))
        if count > DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a list of {count} bytes")
        self.position += count
        return self.file.read(self.start + self.position - count, count)


def _read(file: File, stream: io.BytesIO, storages: dict[str, Storage]) -> Any:
    """The next pickle of a stream: dicts and lists, with ``Dense`` for tensors; adds the storages that it names."""

    def storage(reference: list) -> str:
        mark, kind, key, _, count, *view = reference
        name = kind.name.rpartition(".")[2].removesuffix("Storage")
        if name not in DTYPES:
            raise InputError(
                f"{file.label} has a storage of type {name[:40]!r}, which is not supported; convert it to float"
            )
        if view and view[0] is not None:
            raise InputError(
                f"{file.label} shares storages in the way of torch 0.3; load and save it again with a newer torch"
            )
        if mark != "storage" or not isinstance(key, str) or not are_counts([count]):
            raise ValueError("a storage is described in an unknown way")
        storages.setdefault(key, Storage(DTYPES[name], count))
        return key

    def tensor(key, first, shape, stride, requires_grad=False, hooks=None, dtype=None, metadata=None) -> Dense:
        # The seventh argument is the dtype in version 3 and something else before.
        dtype = getattr(torch, dtype.name.rpartition(".")[2]) if isinstance(dtype, Named) else storages[key].dtype
        if not (are_counts([first]) and is_shape(shape) and are_counts(stride) and len(stride) == len(shape)):
            raise ValueError("a tensor is not dense")
        dense = Dense(key, first * dtype.itemsize, Spec(tuple(shape), dtype), tuple(stride))
        if max(dense.first + reach(dense.spec, dense.stride), dense.spec.nbytes) > storages[key].nbytes:
            raise ValueError(f"a tensor of {shape} is larger than its storage")
        return dense

    calls = {
        **{f"torch._utils._rebuild_tensor{version}": tensor for version in ("", "_v2", "_v3")},
        "torch._utils._rebuild_parameter": lambda data, requires_grad, hooks: data,
        "torch._utils._rebuild_parameter_with_state": lambda data, requires_grad, hooks, state: data,
        "torch._tensor._rebuild_from_type_v2": lambda call, kind, args, state: calls[call.name](*args),
    }
    return read_pickle(stream, file, calls, storage)


def _tensors(file: File, tree: Any, places: Mapping[str, int]) -> dict[str, Stored]:
    """All tensors below dicts and lists, by dotted path; bounded whatever the pickle shares.

    Args:
        file, tree: a file and the contents of its pickle.
        places: position in the file of every storage.

    Raises:
        InputError: there is none, or the tree or all tensors together are far larger than the file.
    """
    found: dict[str, Stored] = {}
    pending, visited = [("", tree, 0)], 0
    while pending:
        path, value, depth = pending.pop()
        visited += 1
        if visited + len(pending) > MAX_VALUES or depth > MAX_DEPTH or len(path) > MAX_NAME:
            raise InputError(
                f"{file.label} is too large or too deeply nested to be a checkpoint; save a plain state dict"
            )
        if isinstance(value, Dense):
            found[path or BARE] = Stored(file, places[value.key] + value.first, value.spec, value.stride)
        elif isinstance(value, (dict, list)) and len(value) <= MAX_VALUES:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            named = [(str(key), item) for key, item in items if isinstance(key, str) or are_counts([key])]
            pending += [(f"{path}.{key}" if path else key, item, depth + 1) for key, item in reversed(named)]
    if not found:
        raise InputError(f"{file.label} holds no tensors; expected a checkpoint")
    # Tied weights share a storage, so the sum may exceed the file, but not by much.
    total = sum(tensor.spec.nbytes for tensor in found.values())
    if total > 4 * file.size:
        raise InputError(
            f"{file.label} declares {total} bytes of tensors but has only {file.size}; it is not a checkpoint"
        )
    return found
