"""What a training shows of itself on clips that it never learns from: figures, and videos to look at."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..faces.mask import pixel_mask
from ..media import Audio, VideoWriter
from ..timeline import FPS, SAMPLE_RATE

GREY = torch.tensor((0.299, 0.587, 0.114))


def mouth_figures(result: Tensor, truth: Tensor) -> dict[str, float]:
    """How like the truth a clip is, both uint8 [T, H, W, 3].

    ``mouth_psnr``, ``rest_psnr``: dB, over all pixels of the clip inside and outside the mouth mask.
    ``mouth_gradients``: squared differences of neighbouring grey levels inside it, as a share of the truth's.
    """
    mask = pixel_mask(*truth.shape[1:3]).bool()
    result, truth = result.float(), truth.float()
    error = (result - truth).square()
    psnr = {name: -10 * (error[:, where].mean() / 255**2).log10() for name, where in (("mouth", mask), ("rest", ~mask))}
    ours, theirs = (gradient_energy(pictures, mask) for pictures in (result, truth))
    return {
        "mouth_psnr": psnr["mouth"].item(),
        "mouth_gradients": (ours / theirs).item(),
        "rest_psnr": psnr["rest"].item(),
    }


def gradient_energy(pictures: Tensor, mask: Tensor) -> Tensor:
    """Sum of squared differences to the next grey level right and below, of [T, H, W, 3], where ``mask`` [H, W] is."""
    grey = pictures @ GREY
    across, down = grey.diff(dim=2).square(), grey.diff(dim=1).square()
    return across[:, mask[:, :-1]].sum() + down[:, mask[:-1]].sum()


def levels(video: Tensor) -> Tensor:
    """Codec pixels [3, T, H, W] to uint8 [T, H, W, 3]."""
    return ((video.permute(1, 2, 3, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def write_video(path: Path, *columns: Tensor, sound: Tensor | None = None) -> None:
    """Clips uint8 [T, H, W, 3] side by side, with the sound [samples] at 16 kHz."""
    pictures = torch.cat(columns, dim=2)
    audio = {} if sound is None else {"audio": Audio(sound[None], SAMPLE_RATE)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, pictures.shape[2], pictures.shape[1], Fraction(FPS), **audio) as writer:
        for n, picture in enumerate(pictures):
            writer.write(picture, n / FPS)


def means(figures: list[dict[str, float]]) -> dict[str, float]:
    """Of every figure over clips."""
    return {name: sum(one[name] for one in figures) / len(figures) for name in figures[0]}
