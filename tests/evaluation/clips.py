"""Videos of noise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import torch

from lipforcing.media import Audio, VideoWriter


def clip(path: Path, frames: int = 12, seed: int = 0, size: tuple[int, int] = (48, 40), sound: bool = True) -> Path:
    """A lossless video of noise, with noise."""
    path.parent.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    audio = Audio(0.2 * torch.randn(1, frames * 640, generator=generator), 16_000) if sound else None
    with VideoWriter(path, size[1], size[0], Fraction(25), audio=audio, lossless=True) as writer:
        for n in range(frames):
            picture = torch.randint(0, 256, (*size, 3), generator=generator, dtype=torch.uint8)
            writer.write(picture, n / 25)
    return path
