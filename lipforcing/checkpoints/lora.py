"""Low-rank adapters: W + (alpha / rank) B A, computed in float32, a few rows of W at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch
from torch import Tensor

from ..errors import InputError
from .sources import Spec, TensorSource

A, B = ".lora_A.weight", ".lora_B.weight"
PATCH_EMBEDDING = "patch_embedding.weight"
PUBLISHED_RATIO = 0.5  # alpha 64 over rank 128 (docs/model.md, Parameter names)


def is_lora(name: str) -> bool:
    """Whether a tensor (official name) is one of an A, B pair."""
    return name.endswith((A, B))


def lora_ratio(adapter: TensorSource, rank: int, alpha: float | None) -> float:
    """alpha / rank: from ``alpha``, else from the file's metadata (``lora_alpha``), else the published 64 / 128."""
    if alpha is None:
        try:
            alpha = float(json.loads(adapter.metadata["lipforcing"])["lora_alpha"])
        except (KeyError, ValueError, TypeError):
            return PUBLISHED_RATIO
    return alpha / rank


class Adapted(TensorSource):
    """``base`` with ``adapter`` merged into it, computed when a tensor is read.

    LoRA pairs are added to the base's weight of that name; every other tensor of the adapter replaces the base's or
    extends it. A ``patch_embedding.weight`` of fewer than ``in_dim`` channels is extended with zeros on the input axis.

    Args:
        base: official names; may contain the adapter (a training checkpoint that was saved unmerged).
        adapter: official names.
        alpha: LoRA alpha; see ``lora_ratio``.
        in_dim: input channels of the result.

    Raises:
        InputError: half a pair, a pair without a weight to add to, or shapes that do not fit.
    """

    def __init__(self, base: TensorSource, adapter: TensorSource, alpha: float | None = None, in_dim: int = 65) -> None:
        self.base = base
        self.adapter = adapter
        self.metadata = base.metadata
        self.label = adapter.label if base is adapter else f"{base.label} + {adapter.label}"
        self.in_dim = in_dim
        self.pairs = sorted(name.removesuffix(A) for name in adapter if name.endswith(A))
        self._check(sorted(name.removesuffix(B) for name in adapter if name.endswith(B)))
        self.ratios = {
            layer + ".weight": lora_ratio(adapter, adapter.spec(layer + A).shape[0], alpha) for layer in self.pairs
        }
        full = dict.fromkeys(name for source in (base, adapter) for name in source if not is_lora(name))
        self._names = tuple(full)

    def _check(self, halves: list[str]) -> None:
        if self.pairs != halves:
            odd = min(set(self.pairs) ^ set(halves))
            raise InputError(
                f"{self.adapter.label} has only half of the LoRA pair of {odd!r}; copy or download it again"
            )
        for layer in self.pairs:
            name = layer + ".weight"
            if name not in self.base and name not in self.adapter:
                raise InputError(
                    f"{self.adapter.label} changes {name!r}, which {self.base.label} does not have; "
                    "merge it with the base model that it was trained on"
                )
            down, up = self.adapter.spec(layer + A).shape, self.adapter.spec(layer + B).shape
            weight = self._owner(name).spec(name).shape
            if len(down) != 2 or len(up) != 2 or up[1] != down[0] or (up[0], down[1]) != weight:
                raise InputError(
                    f"{self.adapter.label} changes {name!r} of {up[:1] + down[1:]}, but in {self.base.label} it is "
                    f"{weight}; merge it with the base model of the same size"
                )

    def _owner(self, name: str) -> TensorSource:
        """Where the full tensor of this name comes from."""
        return self.adapter if name in self.adapter else self.base

    def spec(self, name: str) -> Spec:
        spec = self._owner(name).spec(name)
        if name == PATCH_EMBEDDING and len(spec.shape) == 5 and spec.shape[1] < self.in_dim:
            return Spec((spec.shape[0], self.in_dim, *spec.shape[2:]), spec.dtype)
        return Spec(spec.shape, torch.float32) if name in self.ratios else spec

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        if name in self.ratios:
            return self._sum(name, start, stop)
        rows = self._owner(name).rows(name, start, stop)
        shape = self.spec(name).select(start, stop).shape
        if rows.shape == shape:
            return rows
        wide = rows.new_zeros(shape)
        wide[:, : rows.shape[1]] = rows
        return wide

    def _sum(self, name: str, start: int, stop: int) -> Tensor:
        """W[rows] + ratio B[rows] A in float32."""
        layer = name.removesuffix(".weight")
        down = self.adapter[layer + A].float()
        up = self.adapter.rows(layer + B, start, stop).float()
        return self._owner(name).rows(name, start, stop).float() + self.ratios[name] * (up @ down)

    def __contains__(self, name: object) -> bool:
        return not is_lora(str(name)) and (name in self.adapter or name in self.base)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
