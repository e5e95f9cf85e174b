"""Where the bytes of a tensor lie in a file, and how to get at them without reading the rest."""

from __future__ import annotations

import math
import mmap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import mul
from pathlib import Path

import torch
from torch import Tensor, UntypedStorage

from ..errors import InputError
from .sources import Spec

MAX_AXES = 16
MAX_COUNT = 1 << 48  # of anything; keeps products within what torch can count


class File:
    """A file that is read in pieces, or mapped as a whole, once, when first asked for.

    Attributes:
        path: where it is.
        label: how to call it in messages.
        size: in bytes.
    """

    def __init__(self, path: Path, label: str = "") -> None:
        self.path = path
        self.label = label or path.name
        self.size = path.stat().st_size

    @cached_property
    def pages(self) -> UntypedStorage:
        """All bytes, backed by the file: pages come in when they are used and can be dropped again by the system.

        Writing to them changes a private copy, never the file. Where the system does not promise memory for such
        copies (Linux: of more than it has in all, Windows: of more than is free), they can only be read.
        """
        try:
            return UntypedStorage.from_file(str(self.path), False, self.size)  # keeps no descriptor
        except RuntimeError:
            pass
        with open(self.path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about pages that cannot be written
            try:
                pages = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
            except ValueError:
                raise self._changed() from None
            return torch.frombuffer(pages, dtype=torch.uint8).untyped_storage()

    def read(self, start: int, nbytes: int) -> bytearray:
        """At most ``nbytes`` bytes from ``start`` on in memory of their own, fewer or none beyond the ends."""
        data = bytearray(max(0, min(nbytes, self.size - start)) if start >= 0 else 0)
        if data:
            with open(self.path, "rb") as file:
                file.seek(start)
                if file.readinto(data) < len(data):
                    raise self._changed()
        return data

    def _changed(self) -> InputError:
        return InputError(f"{self.label} became shorter while it was read; copy or download it again")


@dataclass(frozen=True)
class Stored:
    """A tensor of one file.

    Attributes:
        file: the file.
        offset: position of its first byte.
        spec: shape and dtype.
        stride: in elements per axis.
    """

    file: File
    offset: int
    spec: Spec
    stride: tuple[int, ...]

    def map(self) -> Tensor:
        """The tensor backed by the file, see ``File.pages``."""
        data = self.file.pages[self.offset : self.offset + reach(self.spec, self.stride)]
        # Formats do not promise that tensors start at a multiple of their item size, kernels want it.
        return _tensor(data.clone() if self.offset % self.spec.dtype.itemsize else data, self.spec, self.stride)

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) along the first axis, read into memory of their own; a scalar whole."""
        spec = self.spec.select(start, stop)
        skipped = start * self.stride[0] * spec.dtype.itemsize if self.stride else 0
        data = self.file.read(self.offset + skipped, reach(spec, self.stride))
        storage = torch.frombuffer(data, dtype=torch.uint8).untyped_storage() if data else UntypedStorage(0)
        return _tensor(storage, spec, self.stride).contiguous()


@dataclass(frozen=True)
class Sharded:
    """A tensor in pieces, as distributed training saves it.

    Attributes:
        spec: of the whole.
        pieces: position of each piece's first element along every axis, and the piece; together they tile the whole.
    """

    spec: Spec
    pieces: Sequence[tuple[tuple[int, ...], Stored]]

    def map(self) -> Tensor:
        """The whole tensor; backed by the file where it is in one piece."""
        if len(self.pieces) == 1:
            return self.pieces[0][1].map()
        return self.rows(0, self.spec.shape[0])

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) along the first axis; a scalar whole."""
        if len(self.pieces) == 1:
            return self.pieces[0][1].rows(start, stop)
        whole = torch.empty(self.spec.select(start, stop).shape, dtype=self.spec.dtype)
        for corner, piece in self.pieces:
            first, last = max(start, corner[0]), min(stop, corner[0] + piece.spec.shape[0])
            if first < last:
                beside = (slice(at, at + size) for at, size in zip(corner[1:], piece.spec.shape[1:]))
                whole[(slice(first - start, last - start), *beside)] = piece.rows(first - corner[0], last - corner[0])
        return whole


def _tensor(data: UntypedStorage, spec: Spec, stride: tuple[int, ...]) -> Tensor:
    return torch.empty(0, dtype=spec.dtype).set_(data, 0, spec.shape, stride)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a tensor whose elements follow each other, last axis fastest."""
    return tuple(accumulate(shape[:0:-1], mul, initial=1))[::-1][: len(shape)]


def reach(spec: Spec, stride: Sequence[int]) -> int:
    """Bytes from the first element of a tensor to the last, both included."""
    last = sum((size - 1) * step for size, step in zip(spec.shape, stride))
    return (1 + last if spec.numel else 0) * spec.dtype.itemsize


def are_counts(value: object) -> bool:
    """Whether a value from a file is a list of sizes or positions that torch can count with."""
    return isinstance(value, (list, tuple)) and all(type(item) is int and 0 <= item < MAX_COUNT for item in value)


def is_shape(value: object) -> bool:
    """Whether a value from a file is a shape that a tensor can have."""
    return are_counts(value) and len(value) <= MAX_AXES and math.prod(max(1, size) for size in value) < MAX_COUNT
