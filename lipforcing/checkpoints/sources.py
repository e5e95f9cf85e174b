"""Named tensors that are loaded one at a time, a few rows at a time where they are large.

A checkpoint of 28 GB is renamed, merged, converted and loaded without ever being in memory as a whole: every step is
a ``TensorSource`` around another one.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of a tensor that may not be loaded yet."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize

    def select(self, start: int, stop: int) -> Spec:
        """The same with ``stop - start`` rows."""
        return Spec((stop - start, *self.shape[1:]), self.dtype) if self.shape else self


class TensorSource(Mapping[str, Tensor]):
    """Mapping of names to tensors, with their shapes and dtypes known beforehand.

    ``source[name]`` may be backed by the file and cost no memory; ``rows`` always gives fresh memory.

    Attributes:
        metadata: text entries of the file, empty where its format has none.
        label: how to call it in messages, usually the file name.
    """

    metadata: Mapping[str, str]
    label: str

    @abstractmethod
    def spec(self, name: str) -> Spec:
        """Shape and dtype of ``name``; KeyError where it does not exist."""

    @abstractmethod
    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) along the first axis, in memory of their own; a scalar is returned whole."""

    def __getitem__(self, name: str) -> Tensor:
        shape = self.spec(name).shape
        return self.rows(name, 0, shape[0] if shape else 1)

    def __contains__(self, name: object) -> bool:
        # Mapping would load the tensor to find out.
        try:
            self.spec(name)
        except KeyError:
            return False
        return True

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: self.spec(name).shape for name in self}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        return {name: self.spec(name).dtype for name in self}

    def blocks(self, name: str, block_bytes: int = BLOCK_BYTES) -> Iterator[Tensor]:
        """The tensor in consecutive groups of rows of about ``block_bytes``, each at least one row."""
        spec = self.spec(name)
        count = spec.shape[0] if spec.shape else 1
        step = max(1, block_bytes * count // max(1, spec.nbytes))
        for start in range(0, count, step):
            yield self.rows(name, start, min(start + step, count))


class Renamed(TensorSource):
    """Some tensors of ``source`` under other names.

    Args:
        source: where they come from.
        names: new name -> name in ``source``; what is not listed is left out.
    """

    def __init__(self, source: TensorSource, names: Mapping[str, str]) -> None:
        self.source = source
        self.names = dict(names)
        self.metadata = source.metadata
        self.label = source.label

    def spec(self, name: str) -> Spec:
        return self.source.spec(self.names[name])

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        return self.source.rows(self.names[name], start, stop)

    def __getitem__(self, name: str) -> Tensor:
        return self.source[self.names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Overlaid(TensorSource):
    """Two sources as one; where both have a name, ``upper`` counts."""

    def __init__(self, lower: TensorSource, upper: TensorSource) -> None:
        self.lower = lower
        self.upper = upper
        self.metadata = {**lower.metadata, **upper.metadata}
        self.label = f"{lower.label} + {upper.label}"

    def _owner(self, name: str) -> TensorSource:
        return self.upper if name in self.upper else self.lower

    def spec(self, name: str) -> Spec:
        return self._owner(name).spec(name)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        return self._owner(name).rows(name, start, stop)

    def __getitem__(self, name: str) -> Tensor:
        return self._owner(name)[name]

    def __contains__(self, name: object) -> bool:
        return name in self.upper or name in self.lower

    def __iter__(self) -> Iterator[str]:
        yield from self.lower
        yield from (name for name in self.upper if name not in self.lower)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class InMemory(TensorSource):
    """Tensors that are in memory already, as a source."""

    def __init__(
        self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, label: str = ""
    ) -> None:
        self.tensors = tensors
        self.metadata = metadata or {}
        self.label = label or "tensors in memory"

    def spec(self, name: str) -> Spec:
        tensor = self.tensors[name]
        return Spec(tuple(tensor.shape), tensor.dtype)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        tensor = self.tensors[name]
        return (tensor[start:stop] if tensor.ndim else tensor).clone()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)
