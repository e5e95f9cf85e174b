"""Plane affine maps and sampling, in pixel coordinates whose integers are pixel centres.

A matrix [2, 3] maps a column (x, y, 1) of one image to (x, y) of another. Names say the direction: ``a_to_b``.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F


def invert(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices [..., 2, 3] of the opposite direction."""
    (a, b), (c, d) = (matrices[..., row, :2].unbind(-1) for row in (0, 1))
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    linear = adjugate / (a * d - b * c)[..., None, None]
    return torch.cat([linear, -linear @ matrices[..., 2:]], -1)


def compose(b_to_c: torch.Tensor, a_to_b: torch.Tensor) -> torch.Tensor:
    """``a_to_c`` [..., 2, 3]: first ``a_to_b``, then ``b_to_c``."""
    linear = b_to_c[..., :2] @ a_to_b
    return torch.cat([linear[..., :2], linear[..., 2:] + b_to_c[..., 2:]], -1)


def transform(matrices: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Apply [..., 2, 3] to points [..., P, 2] of its source image: [..., P, 2] of its target image."""
    return points @ matrices[..., :2].transpose(-1, -2) + matrices[..., None, :, 2]


def resize_matrix(source: tuple[int, int], target: tuple[int, int]) -> torch.Tensor:
    """Matrix [2, 3] from an image of (height, width) ``source`` to the same image resized to ``target``.

    Half-pixel centred, as ``F.interpolate(align_corners=False)`` resizes: edges (-0.5) map to edges.
    """
    sy, sx = target[0] / source[0], target[1] / source[1]
    return torch.tensor([[sx, 0.0, (sx - 1) / 2], [0.0, sy, (sy - 1) / 2]])


def resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Float [T, C, h, w] to [T, C, *size]: bicubic, antialiased where it shrinks, half-pixel centred."""
    if images.shape[-2:] == torch.Size(size):
        return images
    return F.interpolate(images, size=size, mode="bicubic", antialias=True, align_corners=False)


def resize_bytes(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Float [T, C, h, w] in [0, 1] to uint8 [T, C, *size]: like :func:`resize`, rounded to 8 bits before and after."""
    codes = images.mul(255).round_().clamp_(0, 255)
    if images.shape[-2:] == torch.Size(size):
        return codes.to(torch.uint8)
    if images.device.type == "cpu":  # has a kernel for bytes that is several times as fast
        codes = codes.to(torch.uint8)
        return F.interpolate(codes, size=size, mode="bicubic", antialias=True, align_corners=False)
    return resize(codes, size).round_().clamp_(0, 255).to(torch.uint8)


def sample(
    images: torch.Tensor, to_images: torch.Tensor, size: tuple[int, int], outside: Literal["zeros", "border"] = "zeros"
) -> torch.Tensor:
    """Bilinear warps.

    Args:
        images: float [T, C, H, W].
        to_images: [T, 2, 3], maps pixels of each result to pixels of its image.
        size: (height, width) of the results.
        outside: what lies beyond an image, 0 or its border pixels.

    Returns:
        float [T, C, *size]; pixel (x, y) of result i is ``images[i]`` at ``to_images[i] @ (x, y, 1)``.
    """
    rows, columns = (torch.arange(n, device=images.device, dtype=images.dtype) for n in size)
    # The image point of every result pixel is a column part plus a row part; normalised so that edges are -1 and 1.
    scale = 2 / torch.tensor([images.shape[-1], images.shape[-2]], dtype=images.dtype)
    along = to_images.to("cpu", images.dtype) * scale[:, None]
    along[..., 2] += scale / 2 - 1
    across, down, start = along.to(images.device)[:, :, None, None].unbind(-1)  # each [T, 2, 1, 1]
    grid = ((columns * across + start) + rows[:, None] * down).movedim(1, -1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def bounds(points: torch.Tensor, size: tuple[int, int], margin: int = 1) -> tuple[int, int, int, int]:
    """Pixel window (x0, y0, x1, y1), ends exclusive, that holds points [..., 2] plus ``margin``, cut to ``size``.

    Empty (x1 <= x0 or y1 <= y0) where the points lie outside.
    """
    points = points.flatten(0, -2)
    low = points.amin(0).floor().int() - margin
    high = points.amax(0).ceil().int() + margin + 1
    return (
        max(int(low[0]), 0),
        max(int(low[1]), 0),
        min(int(high[0]), size[1]),
        min(int(high[1]), size[0]),
    )


def shift_matrix(x: float, y: float) -> torch.Tensor:
    """Matrix [2, 3] that moves points by (x, y)."""
    return torch.tensor([[1.0, 0.0, x], [0.0, 1.0, y]])
