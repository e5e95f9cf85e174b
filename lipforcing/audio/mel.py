"""Triangular filters on the mel scale 2595 log10(1 + f / 700)."""

from __future__ import annotations

import torch


def mel_points(low: float, high: float, bands: int) -> torch.Tensor:
    """Corner frequencies in Hz of ``bands`` overlapping triangles, equally spaced in mel: [bands + 2]."""
    ends = 2595 * torch.log10(1 + torch.tensor([low, high], dtype=torch.float64) / 700)
    mels = torch.linspace(ends[0].item(), ends[1].item(), bands + 2, dtype=torch.float64)
    return 700 * (10 ** (mels / 2595) - 1)


def triangles(corners: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Triangular filters of height 1 that rise over corners m to m + 1 and fall over m + 1 to m + 2.

    Args:
        corners: [bands + 2] ascending, in any unit.
        positions: [bins] in the same unit.

    Returns:
        [bands, bins]; a side of zero width counts as absent.
    """
    left, centre, right = (corners[k : len(corners) - 2 + k, None] for k in range(3))
    rising = (positions - left) / (centre - left)
    falling = (right - positions) / (right - centre)
    inside_left = (positions >= left) & (positions < centre)
    inside_right = (positions >= centre) & (positions < right)
    zero = torch.zeros((), dtype=corners.dtype)
    return torch.where(inside_left, rising, zero) + torch.where(inside_right, falling, zero)
