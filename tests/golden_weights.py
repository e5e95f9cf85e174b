"""Weights that golden sets define by procedure instead of storing them (tests/data/goldens/README.md, 3.8, 3.9)."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable

import numpy as np
import torch

# Value of a tensor from its key, shape and uniform numbers u in [0, 1) of that shape.
Rule = Callable[[str, tuple[int, ...], np.ndarray], np.ndarray]


def procedural_weights(key_shapes: dict[str, list[int]], seed: int, rule: Rule) -> dict[str, torch.Tensor]:
    """Float32 weights for every key; ``num_batches_tracked`` is an integer zero."""
    weights = {}
    for key, shape in key_shapes.items():
        if key.endswith("num_batches_tracked"):
            weights[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        stream = np.random.RandomState((seed + zlib.crc32(key.encode("ascii"))) % 2**32)
        u = stream.random_sample(math.prod(shape)).reshape(shape)
        weights[key] = torch.from_numpy(rule(key, tuple(shape), u).astype(np.float32))
    return weights


def sha256(weights: dict[str, torch.Tensor]) -> str:
    """The checksum that the golden set states for its weights."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        if not key.endswith("num_batches_tracked"):
            digest.update(key.encode("ascii"))
            digest.update(weights[key].numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def taehv_rule(gain: float) -> Rule:
    """TAEHV, README 3.8."""

    def rule(key: str, shape: tuple[int, ...], u: np.ndarray) -> np.ndarray:
        if len(shape) == 1:
            return (2 * u - 1) * 0.05 + (0.5 if key == "decoder.22.bias" else 0)
        return (2 * u - 1) * gain * math.sqrt(3 / math.prod(shape[1:]))

    return rule


def syncnet_rule(key: str, shape: tuple[int, ...], u: np.ndarray) -> np.ndarray:
    """SyncNet, README 3.9."""
    u = 2 * u - 1
    if key.endswith("running_mean") or key.endswith("bias"):
        return 0.1 * u
    if key.endswith("running_var"):
        return 1 + 0.5 * u
    if len(shape) == 1:
        return 1 + 0.2 * u
    scale = {"netcnnlip.0.weight": 1 / 128, "netcnnaud.0.weight": 1 / 10}.get(key, 1)
    return u * math.sqrt(6 / math.prod(shape[1:])) * scale
