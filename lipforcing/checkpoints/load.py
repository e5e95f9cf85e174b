"""Put a checkpoint into its network, strictly: every tensor, and none besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError
from .catalog import NETWORKS, SIZED, build, expected_shapes, for_network
from .checkpoint import Checkpoint, open_checkpoint
from .detect import EMBEDDING_NAMES, Kind
from .files import SHARD
from .sources import TensorSource

LISTED = 3
REMEDY = "copy or download it again, or choose the right file"


@dataclass(frozen=True)
class Differences:
    """How a file's tensors differ from those expected.

    Attributes:
        missing: expected, not in the file.
        unexpected: in the file, not expected.
        misshapen: name -> (shape in the file, shape expected).
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        shapes = [f"{name} {list(found)} instead of {list(wanted)}" for name, (found, wanted) in self.misshapen.items()]
        groups = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", shapes))
        return "; ".join(f"{title}: {_first(names)}" for title, names in groups if names)


def compare(source: TensorSource, expected: Mapping[str, tuple[int, ...]]) -> Differences:
    """Differences between the tensors of ``source`` and the expected names and shapes."""
    return Differences(
        missing=tuple(name for name in expected if name not in source),
        unexpected=tuple(name for name in source if name not in expected),
        misshapen={
            name: (source.spec(name).shape, shape)
            for name, shape in expected.items()
            if name in source and source.spec(name).shape != shape
        },
    )


def load_module(
    path: str | Path, *kinds: Kind, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> tuple[nn.Module, Checkpoint]:
    """Build the network that a file is for and load the file into it.

    Args:
        path: file or folder.
        kinds: what it may be, for example ``Kind.STUDENT``.
        device: where the parameters go, by default the CPU.
        dtype: of the floating-point parameters, by default that of the file (float8 files: bfloat16).

    Returns:
        The network in eval mode without gradients, its configuration in ``network.config``; and the checkpoint.

    Raises:
        InputError: unreadable, another kind of file, or tensors missing, unexpected or of another shape.
    """
    checkpoint = open_checkpoint(path, *kinds)
    if checkpoint.kind not in NETWORKS:
        raise InputError(
            f"{checkpoint.file.label} is {checkpoint.describe()}, not a network to load; choose another file"
        )
    check_complete(checkpoint)
    network = build(checkpoint.kind, checkpoint.config, torch.device("meta"))
    weights = for_network(checkpoint.kind, checkpoint.weights)
    load_into(network, weights, device=device, dtype=dtype, what=checkpoint.describe())
    return network.eval().requires_grad_(False), checkpoint


def differences_of(checkpoint: Checkpoint) -> Differences | None:
    """What a checkpoint lacks or has too much for its network; None where its kind has no fixed list of tensors."""
    expected = expected_shapes(checkpoint.kind, checkpoint.config)
    return compare(for_network(checkpoint.kind, checkpoint.weights), expected) if expected else None


def check_complete(checkpoint: Checkpoint) -> None:
    """Raise InputError unless a checkpoint has exactly the tensors of its network (where its kind has one)."""
    label, what = checkpoint.file.label, checkpoint.describe()
    shard = SHARD.search(label)
    remedy = f"it is one of {int(shard[2])} shards, name the folder that has all" if shard else REMEDY
    differences = differences_of(checkpoint)
    if differences:
        raise InputError(f"{label} is {what}, but not complete or mixed up: {differences}; {remedy}")
    if differences is None and checkpoint.kind in SIZED:
        raise InputError(f"{label} is {what}, but the tensors that tell its size are missing; {remedy}")


def load_into(
    network: nn.Module,
    source: TensorSource,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    what: str = "",
) -> None:
    """Give every parameter and buffer of ``network`` (any device, best ``meta``) the tensor of its name.

    Tensors that need no conversion stay backed by the file, so the system can drop and reload their pages.

    Args:
        network: its names are the official ones.
        source: under official names.
        device, dtype: of the loaded tensors, by default as in ``source``; only floating-point tensors are cast.
        what: what the file is, for messages.

    Raises:
        InputError: the names or shapes differ; says what the file is and the first differing names.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    differences = compare(source, wanted)
    if differences:
        raise InputError(
            f"{source.label}{f' is {what} but' if what else ''} does not match the network: {differences}; {REMEDY}"
        )
    layers: dict[str, list[str]] = {}
    for name in wanted:
        layer, _, leaf = name.rpartition(".")
        layers.setdefault(layer, []).append(leaf)
    # Layer by layer: the whole state dict at once would hold two copies of everything that is converted.
    for layer, leaves in layers.items():
        prefix = f"{layer}." if layer else ""
        state = {leaf: _converted(source[prefix + leaf], device, dtype) for leaf in leaves}
        network.get_submodule(layer).load_state_dict(state, strict=False, assign=True)


def load_text_embedding(path: str | Path, width: int = 4096) -> Tensor:
    """A precomputed prompt [1, n, width] in the file's dtype, without the zeros that pad it (docs/model.md, Text).

    Raises:
        InputError: the file holds something else or another width.
    """
    weights = open_checkpoint(path, Kind.TEXT_EMBEDDING).weights
    name = next(name for name in EMBEDDING_NAMES if name in weights)
    shape = weights.spec(name).shape
    if shape[-1] != width:
        raise InputError(
            f"{weights.label} is a text embedding of width {shape[-1]}, but the model takes {width}; "
            "encode the prompt with UMT5-XXL"
        )
    text = weights.rows(name, 0, shape[0]).view(1, *shape[-2:])
    used = (text != 0).any(-1)[0].nonzero()
    return text[:, : int(used.max()) + 1 if len(used) else 1]


def _converted(tensor: Tensor, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)


def _first(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(name[:120] for name in names[:LISTED])
    return f"{shown} and {len(names) - LISTED} more" if len(names) > LISTED else shown
