"""Three-axis rotary position embedding (RoPE) over latent frame, row and column (docs/model.md, Rotary positions)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

THETA = 10000.0


def axis_dims(head_dim: int) -> tuple[int, int, int]:
    """Real dimensions of a head given to (time, height, width), all even: 128 -> 44, 42, 42."""
    side = 2 * (head_dim // 6)
    return head_dim - 2 * side, side, side


def _angles(dim: int, positions: int) -> Tensor:
    """Angles [positions, dim / 2] of one axis, in float64: position * theta^(-2m / dim)."""
    exponent = torch.arange(0, dim, 2, dtype=torch.float64) / dim
    return torch.outer(torch.arange(positions, dtype=torch.float64), THETA**-exponent)


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotation of queries or keys at fixed positions.

    Attributes:
        cos, sin: [tokens, 1, head_dim / 2] float32, tokens ordered (frame, row, column), column fastest.
    """

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate ``x`` [B, tokens, heads, head_dim]; pairs are adjacent elements (2m, 2m + 1)."""
        even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        rotated = torch.stack((even * self.cos - odd * self.sin, even * self.sin + odd * self.cos), dim=-1)
        return rotated.flatten(-2).to(x.dtype)


@dataclass(frozen=True, eq=False)
class Geometry:
    """The token grid of a run and the rotation of every position in it: constant, so made once.

    Attributes:
        tokens: tokens of one latent frame.
        table: rotation at temporal positions 0, 1, 2, ...
    """

    tokens: int
    table: Rotary

    @classmethod
    def of(cls, head_dim: int, frames: int, height: int, width: int, device: torch.device | str) -> Geometry:
        """Temporal positions 0 to ``frames`` - 1 on a grid of ``height`` x ``width`` tokens.

        The table is built in float64 on the CPU (not every device has it) and kept in float32.
        """
        time_dim, height_dim, width_dim = axis_dims(head_dim)
        shape = (frames, height, width, -1)
        angles = torch.cat(
            [
                _angles(time_dim, frames)[:, None, None, :].expand(shape),
                _angles(height_dim, height)[None, :, None, :].expand(shape),
                _angles(width_dim, width)[None, None, :, :].expand(shape),
            ],
            dim=-1,
        ).flatten(0, 2)[:, None, :]
        return cls(height * width, Rotary(angles.cos().float().to(device), angles.sin().float().to(device)))

    def at(self, positions: range) -> Rotary:
        """Rotation for latent frames at temporal ``positions``.

        Raises:
            ValueError: a position beyond the table.
        """
        rows = slice(positions.start * self.tokens, positions.stop * self.tokens)
        if rows.stop > len(self.table.cos):
            raise ValueError(
                f"temporal position {positions.stop - 1} was asked for, the geometry was made for "
                f"{len(self.table.cos) // self.tokens} latent frames"
            )
        return Rotary(self.table.cos[rows], self.table.sin[rows])
