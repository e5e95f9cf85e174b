"""Write safetensors tensor by tensor, a few rows at a time, without ever leaving half a file behind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ..output import new_file
from .safetensors_header import build_header
from .sources import Spec


class SafetensorsWriter:
    """Tensors of known shape and dtype, written in any order.

    Args:
        file: open for writing, empty.
        specs: every tensor of the file.
        metadata: text entries.

    Attributes:
        total: bytes of all tensors.
        written: bytes of the tensors written so far.
    """

    def __init__(self, file: BinaryIO, specs: Mapping[str, Spec], metadata: Mapping[str, str]) -> None:
        self.file = file
        self.specs = dict(specs)
        header, self.offsets = build_header(specs, metadata)
        file.write(header)
        self.total = sum(spec.nbytes for spec in specs.values())
        self.written = 0

    def write(self, name: str, blocks: Iterable[Tensor]) -> Iterator[int]:
        """Write one tensor from consecutive groups of its rows; yields the bytes written so far after each."""
        self.file.seek(self.offsets[name])
        dtype = self.specs[name].dtype
        for block in blocks:
            data = block.to(dtype).contiguous().flatten().view(torch.uint8).numpy()
            self.file.write(memoryview(data))
            self.written += data.nbytes
            yield self.written

    def finish(self) -> None:
        """Check that all of the file is there.

        Raises:
            RuntimeError: some tensor was not written, or not in its declared size.
        """
        if self.written != self.total:
            raise RuntimeError(f"wrote {self.written} bytes of tensors instead of {self.total}")


@contextmanager
def replacing(path: Path, size: int, sources: Sequence[str | Path] = ()) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` when the block ends well, and vanishes when it does not.

    Args:
        path: where the result goes; an existing file stays until the new one is complete.
        size: bytes that will be written, to refuse a full disk beforehand.
        sources: files and folders that are read, which ``path`` must not be.

    Raises:
        InputError: see ``output.new_file``.
    """
    with new_file(path, sources, size) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
