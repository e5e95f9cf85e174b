"""Pairs of pictures whose difference is known."""

from __future__ import annotations

import torch

from lipforcing.evaluation.batches import Batch
from lipforcing.faces.align import full_frame_matrix
from lipforcing.faces.mask import mouth_mask

MOUTH = mouth_mask()

INNER = torch.nn.functional.max_pool2d(1 - MOUTH.float()[None], 31, 1, 15)[0] == 0  # far from the mask's edge


def noise(frames: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(30, 200, (frames, 256, 256, 3), generator=generator, dtype=torch.uint8)


def pair(result: torch.Tensor, reference: torch.Tensor, first: int = 0) -> Batch:
    """Footage that is a face crop, from clock frame ``first`` on."""
    square, count = torch.tensor([128.0, 128.0, 100.0]), len(result)
    matrices = full_frame_matrix(*result.shape[1:3]).expand(2, count, -1, -1)
    indices = [*range(first, first + count)]
    return Batch(list(result), list(reference), result, reference, [(square, square)] * count, matrices, indices)


def brighter_mouth(crops: torch.Tensor, by: int, where: torch.Tensor = MOUTH) -> torch.Tensor:
    return torch.where(where[..., None], crops + by, crops).to(torch.uint8)
