"""Where the bytes of a tensor lie in a file, and how to get at them without reading the rest."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from .sources import Spec


@dataclass(frozen=True)
class Stored:
    """A tensor of one file.

    Attributes:
        path: the file.
        offset: position of its first byte.
        spec: shape and dtype.
        stride: in elements per axis, None where the tensor is contiguous.
    """

    path: Path
    offset: int
    spec: Spec
    stride: tuple[int, ...] | None = None

    def map(self) -> Tensor:
        """The tensor backed by the file. Writing to it changes a private copy of the pages, never the file."""
        nbytes = self._span() * self.spec.dtype.itemsize
        if nbytes == 0:
            return torch.empty(self.spec.shape, dtype=self.spec.dtype)
        start = self.offset - self.offset % mmap.ALLOCATIONGRANULARITY
        with open(self.path, "rb") as file:
            try:
                # One mapping per tensor: the kernel may refuse to map 28 GB copy-on-write in one piece.
                pages = mmap.mmap(file.fileno(), self.offset + nbytes - start, access=mmap.ACCESS_COPY, offset=start)
            except ValueError:
                raise _changed(self.path) from None
        data = torch.frombuffer(pages, dtype=torch.uint8, count=nbytes, offset=self.offset - start)
        # Formats do not promise that tensors start at a multiple of their item size, kernels want it.
        return self._shaped(data if self.offset % self.spec.dtype.itemsize == 0 else data.clone())

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) along the first axis, read into memory of their own; a scalar whole."""
        if self.stride is not None:
            data = self._shaped(self._read(0, self._span() * self.spec.dtype.itemsize))
            return data[start:stop].contiguous()
        part = self.spec.select(start, stop)
        row = part.nbytes // max(1, stop - start)
        return self._read(start * row, part.nbytes).view(part.dtype).view(part.shape)

    def _read(self, start: int, nbytes: int) -> Tensor:
        buffer = torch.empty(nbytes, dtype=torch.uint8)
        with open(self.path, "rb") as file:
            file.seek(self.offset + start)
            if file.readinto(memoryview(buffer.numpy())) != nbytes:
                raise _changed(self.path)
        return buffer

    def _span(self) -> int:
        """Elements from the first to the last of the tensor."""
        if self.stride is None or self.spec.numel == 0:
            return self.spec.numel
        return 1 + sum((size - 1) * step for size, step in zip(self.spec.shape, self.stride))

    def _shaped(self, data: Tensor) -> Tensor:
        flat = data.view(self.spec.dtype)
        return flat.view(self.spec.shape) if self.stride is None else flat.as_strided(self.spec.shape, self.stride)


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
        return self.rows(0, self.spec.shape[0] if self.spec.shape else 1)

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) along the first axis."""
        if not self.spec.shape:
            return self.pieces[0][1].rows(0, 1)
        whole = torch.empty(self.spec.select(start, stop).shape, dtype=self.spec.dtype)
        for corner, piece in self.pieces:
            first, last = max(start, corner[0]), min(stop, corner[0] + piece.spec.shape[0])
            if first < last:
                place = (
                    slice(first - start, last - start),
                    *(slice(at, at + size) for at, size in zip(corner[1:], piece.spec.shape[1:])),
                )
                whole[place] = piece.rows(first - corner[0], last - corner[0])
        return whole


def _changed(path: Path) -> InputError:
    return InputError(f"{path.name} became shorter while it was read; copy or download it again")
