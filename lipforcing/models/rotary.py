"""Three-axis rotary position embedding (RoPE) over latent frame, row and column."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

THETA = 10000.0


def axis_dims(head_dim: int) -> tuple[int, int, int]:
    """Real dimensions of a head given to (time, height, width): 128 -> 44, 42, 42."""
    side = head_dim // 3
    return head_dim - 2 * side, side, side


def _angles(dim: int, positions: Tensor) -> Tensor:
    """Angles [len(positions), dim / 2] of one axis, in float64: position * theta^(-2m / dim)."""
    exponent = torch.arange(0, dim, 2, dtype=torch.float64) / dim
    return torch.outer(positions.double(), THETA**-exponent)


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotation of queries or keys at fixed positions.

    Attributes:
        cos, sin: [tokens, 1, head_dim / 2] float32, tokens ordered (frame, row, column), column fastest.
    """

    cos: Tensor
    sin: Tensor

    @classmethod
    def at(cls, frames: range, height: int, width: int, head_dim: int, device: torch.device) -> Rotary:
        """Rotation for latent frames at temporal positions ``frames`` on a grid of ``height`` x ``width`` tokens.

        The tables are built in float64 on the CPU (not every device has it) and kept in float32.
        """
        time_dim, height_dim, width_dim = axis_dims(head_dim)
        shape = (len(frames), height, width, -1)
        angles = torch.cat(
            [
                _angles(time_dim, torch.arange(frames.start, frames.stop))[:, None, None, :].expand(shape),
                _angles(height_dim, torch.arange(height))[None, :, None, :].expand(shape),
                _angles(width_dim, torch.arange(width))[None, None, :, :].expand(shape),
            ],
            dim=-1,
        ).flatten(0, 2)[:, None, :]
        return cls(angles.cos().float().to(device), angles.sin().float().to(device))

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate ``x`` [B, tokens, heads, head_dim]; pairs are adjacent elements (2m, 2m + 1)."""
        even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        rotated = torch.stack((even * self.cos - odd * self.sin, even * self.sin + odd * self.cos), dim=-1)
        return rotated.flatten(-2).to(x.dtype)
