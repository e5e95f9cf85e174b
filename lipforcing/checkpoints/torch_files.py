"""Files of ``torch.save``: the zip archives of today and the concatenated pickles from before torch 1.6.

Both are a pickle that describes tensors over storages, and the storages' raw bytes. The pickle is read as data (see
``pickles``); tensors become places in the file. Storages in zip archives are never compressed, so a small file can
not unfold into a large one.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from ..errors import InputError
from .pickles import PICKLE_BYTES, Global, Instance, Reference, read_pickle
from .sources import Spec
from .storage import Stored

ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a pickle of torch's magic number
LEGACY_VERSION = 1001
DIRECTORY_BYTES = 16 << 20  # of the zip's list of entries, 100,000 storages
MAX_VALUES = 200_000
MAX_DEPTH = 16
MAX_NAME = 512
BARE = "tensor"  # name of a tensor that is saved without a dict around it

STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "UntypedStorage": torch.uint8,
}


@dataclass(frozen=True)
class Extent:
    """Bytes of one storage: position in the file and length."""

    offset: int
    nbytes: int


class Section(io.RawIOBase):
    """Bytes [start, start + length) of an open file, as a file of their own."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self.file, self.start, self.length, self.position = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}[whence]
        if base + offset < 0:
            raise OSError("seek before the start")
        self.position = base + offset
        return self.position

    def readinto(self, buffer) -> int:
        count = max(0, min(len(buffer), self.length - self.position))
        self.file.seek(self.start + self.position)
        data = self.file.read(count)
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def read_zip(path: Path, start: int = 0, length: int | None = None) -> dict[str, Stored]:
    """Places of all tensors of a ``torch.save`` archive, by dotted path through its dicts.

    Args:
        path: the file.
        start, length: the part of the file that is the archive, by default all of it.

    Raises:
        InputError: truncated, damaged, compressed, not a checkpoint, or with anything but data in its pickle.
    """
    label = path.name
    with open(path, "rb") as file:
        section = Section(file, start, path.stat().st_size - start if length is None else length)
        directory = _directory(section, label)
        pickles = [name for name in directory if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise InputError(f"{label} is a zip archive but not a PyTorch checkpoint: it has no data.pkl")
        folder = pickles[0].rpartition("/")[0]
        if f"{folder}/constants.pkl" in directory:
            raise InputError(f"{label} is a TorchScript program, not a checkpoint; save its state dict instead")
        extents = {
            name.rpartition("/")[2]: _extent(section, entry, label)
            for name, entry in directory.items()
            if name.startswith(f"{folder}/data/")
        }
        byte_order = directory.get(f"{folder}/byteorder")
        if byte_order is not None and _content(section, byte_order, label) != b"little":
            raise InputError(f"{label} was saved on a big-endian machine; save it again on an ordinary one")
        tree, _ = read_pickle(_content(section, directory[pickles[0]], label), label)
    return _places(path, tree, lambda key: extents.get(key))


def read_legacy(path: Path) -> dict[str, Stored]:
    """Places of all tensors of a checkpoint from before torch 1.6.

    After the pickles of magic number, version, platform, contents and list of storage keys follow the storages in the
    order of that list, each with its element count (8 bytes) before its data.

    Raises:
        InputError: truncated, damaged, or with anything but data in its pickles.
    """
    label, size = path.name, path.stat().st_size
    with open(path, "rb") as file:
        data = file.read(PICKLE_BYTES)
        position = 0
        values = []
        for _ in range(5):
            value, taken = read_pickle(data[position:], label)
            values.append(value)
            position += taken
        _, version, platform, tree, keys = values
        if version != LEGACY_VERSION or not isinstance(keys, list):
            raise InputError(f"{label} is damaged: not the layout of a torch.save file; copy or download it again")
        if isinstance(platform, dict) and platform.get("little_endian") is False:
            raise InputError(f"{label} was saved on a big-endian machine; save it again on an ordinary one")
        sizes = {reference.id[2]: _item_size(reference, label) for reference in _references(tree, label)}
        extents = {}
        for key in keys:
            file.seek(position)
            count_bytes = file.read(8)
            if len(count_bytes) < 8 or key not in sizes:
                raise _truncated(label)
            nbytes = struct.unpack("<Q", count_bytes)[0] * sizes[key]
            if position + 8 + nbytes > size:
                raise _truncated(label)
            extents[key] = Extent(position + 8, nbytes)
            position += 8 + nbytes
    return _places(path, tree, lambda key: extents.get(key))


def _directory(section: Section, label: str) -> dict[str, zipfile.ZipInfo]:
    """Entries of the archive by name; none of them compressed."""
    tail_start = max(0, section.length - (1 << 16) - 22)
    section.seek(tail_start)
    tail = section.read(section.length - tail_start)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 22 > len(tail):
        raise _truncated(label)
    # Python's reader would load a directory of any size.
    directory_bytes = struct.unpack("<L", tail[end + 12 : end + 16])[0]
    if directory_bytes == 0xFFFFFFFF and end >= 20:
        place = struct.unpack("<Q", tail[end - 12 : end - 4])[0]
        section.seek(min(place + 40, section.length))
        directory_bytes = int.from_bytes(section.read(8), "little")
    if directory_bytes > DIRECTORY_BYTES:
        raise InputError(f"{label} is damaged or not a checkpoint: its zip directory has {directory_bytes} bytes")
    try:
        entries = zipfile.ZipFile(section).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, IndexError):
        raise InputError(f"{label} is damaged: its zip directory cannot be read; copy or download it again") from None
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise InputError(
                f"{label} is a zip archive with compressed entries, which PyTorch never writes; if it contains the "
                "checkpoint, unpack it first"
            )
    directory = {entry.filename: entry for entry in entries}
    if len(directory) != len(entries):
        raise InputError(f"{label} is damaged: its zip directory has an entry twice; copy or download it again")
    return directory


def _extent(section: Section, entry: zipfile.ZipInfo, label: str) -> Extent:
    """Where the data of an archive entry lies in the file."""
    section.seek(entry.header_offset)
    header = section.read(30)
    if len(header) < 30 or header[:4] != ZIP_START:
        raise _truncated(label)
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    offset = entry.header_offset + 30 + name_length + extra_length
    if offset + entry.file_size > section.length:
        raise _truncated(label)
    return Extent(section.start + offset, entry.file_size)


def _content(section: Section, entry: zipfile.ZipInfo, label: str) -> bytes:
    extent = _extent(section, entry, label)
    if extent.nbytes > PICKLE_BYTES:
        raise InputError(f"{label} has a pickle of {extent.nbytes} bytes, which no checkpoint needs")
    section.seek(extent.offset - section.start)
    return section.read(extent.nbytes)


def _walk(tree: object, label: str) -> Iterator[tuple[str, Instance]]:
    """All described objects below dicts and lists, with their dotted path; bounded whatever the pickle shares."""
    pending: list[tuple[str, object, int]] = [("", tree, 0)]
    for visited, (path, value, depth) in enumerate(_drain(pending)):
        if visited + len(pending) > MAX_VALUES or depth > MAX_DEPTH or len(path) > MAX_NAME:
            raise InputError(f"{label} is too large or too deeply nested to be a checkpoint; save a plain state dict")
        if isinstance(value, Instance):
            yield path, value
        elif isinstance(value, (dict, list)):
            if len(value) > MAX_VALUES:
                continue
            items = value.items() if isinstance(value, dict) else enumerate(value)
            below = [(f"{path}.{key}" if path else str(key), item, depth + 1) for key, item in items if _named(key)]
            pending.extend(reversed(below))


def _named(key: object) -> bool:
    return isinstance(key, (str, int))


def _drain(pending: list) -> Iterator:
    while pending:
        yield pending.pop()


def _references(tree: object, label: str) -> Iterator[Reference]:
    """Storages that tensors in the tree stand on."""
    for _, instance in _walk(tree, label):
        tensor = _tensor_call(instance)
        if tensor is not None and tensor.args and isinstance(tensor.args[0], Reference):
            _check_reference(tensor.args[0], label)
            yield tensor.args[0]


def _tensor_call(instance: Instance) -> Instance | None:
    """The call that makes a tensor, inside those that make a parameter or subclass of it."""
    for _ in range(4):
        name, args = instance.type, instance.args
        if name.startswith("torch._utils._rebuild_tensor"):
            return instance
        if name.startswith("torch._utils._rebuild_parameter") and args and isinstance(args[0], Instance):
            instance = args[0]
        elif name == "torch._tensor._rebuild_from_type_v2" and len(args) > 2 and isinstance(args[0], Global):
            instance = Instance(args[0].name, args[2] if isinstance(args[2], tuple) else ())
        else:
            return None
    return None


def _check_reference(reference: Reference, label: str) -> None:
    fields = reference.id
    if not (
        isinstance(fields, tuple)
        and len(fields) >= 5
        and fields[0] == "storage"
        and isinstance(fields[1], Global)
        and isinstance(fields[2], str)
    ):
        raise InputError(f"{label} is damaged: it refers to a storage in an unknown way; copy or download it again")
    if len(fields) > 5 and fields[5] is not None:
        raise InputError(f"{label} shares storages in the way of torch 0.3; load and save it again with a newer torch")


def _item_size(reference: Reference, label: str) -> int:
    return _storage_dtype(reference, label).itemsize


def _storage_dtype(reference: Reference, label: str) -> torch.dtype:
    name = reference.id[1].name.rpartition(".")[2]
    if name not in STORAGE_DTYPES:
        raise InputError(f"{label} has a storage of type {name[:40]!r}, which is not supported; convert it to float")
    return STORAGE_DTYPES[name]


def _places(path: Path, tree: object, extent_of: Callable[[str], Extent | None]) -> dict[str, Stored]:
    """Place of every tensor in the tree.

    Raises:
        InputError: a tensor reaches beyond its storage, or all together are far larger than the file.
    """
    places: dict[str, Stored] = {}
    for name, instance in _walk(tree, path.name):
        tensor = _tensor_call(instance)
        if tensor is not None:
            places[name or BARE] = _place(path, name or BARE, tensor, extent_of)
    if not places:
        raise InputError(f"{path.name} holds no tensors; expected a checkpoint")
    _check_total(places, path)
    return places


def _check_total(places: Mapping[str, Stored], path: Path) -> None:
    # Tied weights share a storage, so the sum may exceed the file, but not by much.
    total, size = sum(place.spec.nbytes for place in places.values()), path.stat().st_size
    if total > 4 * size:
        raise InputError(f"{path.name} declares {total} bytes of tensors but has only {size}; it is not a checkpoint")


def _place(path: Path, name: str, call: Instance, extent_of: Callable[[str], Extent | None]) -> Stored:
    args = call.args
    reference, offset, shape, stride = args[:4] if len(args) >= 4 else (None, None, None, None)
    if not (isinstance(reference, Reference) and are_counts((offset,)) and are_counts(shape) and are_counts(stride)):
        raise InputError(
            f"{path.name}: tensor {name[:100]!r} is not a plain dense tensor; save its dense, dequantised form"
        )
    _check_reference(reference, path.name)
    dtype = _storage_dtype(reference, path.name)
    if call.type.endswith("_rebuild_tensor_v3"):
        dtype = _named_dtype(args[6] if len(args) > 6 else None, path.name)
    extent = extent_of(reference.id[2])
    spec = Spec(shape, dtype)
    if len(stride) != len(shape) or extent is None:
        raise _truncated(path.name)
    reach = offset + (1 + sum((size - 1) * step for size, step in zip(shape, stride)) if spec.numel else 0)
    if reach * dtype.itemsize > extent.nbytes or spec.nbytes > extent.nbytes:
        raise InputError(
            f"{path.name} is damaged: tensor {name[:100]!r} of {list(shape)} is larger than its storage; "
            "copy or download it again"
        )
    contiguous = stride == _contiguous_stride(shape) or spec.numel <= 1
    return Stored(path, extent.offset + offset * dtype.itemsize, spec, None if contiguous else stride)


def _contiguous_stride(shape: tuple[int, ...]) -> tuple[int, ...]:
    stride, step = [], 1
    for size in reversed(shape):
        stride.append(step)
        step *= size
    return tuple(reversed(stride))


def are_counts(value: object) -> bool:
    return isinstance(value, tuple) and all(type(item) is int and 0 <= item < 1 << 48 for item in value)


def _named_dtype(value: object, label: str) -> torch.dtype:
    dtype = getattr(torch, value.name.rpartition(".")[2], None) if isinstance(value, Global) else None
    if not isinstance(dtype, torch.dtype):
        raise InputError(f"{label} is damaged: it names a dtype that does not exist; copy or download it again")
    return dtype


def _truncated(label: str) -> InputError:
    return InputError(f"{label} is truncated or damaged: data of its tensors is missing; copy or download it again")
