"""Drawn people whose mouths are known, as pictures and as lossless videos with sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import torch
from safetensors.torch import load_file

from lipforcing.drawn.faces import RELAXED, Identity, render, sample_head
from lipforcing.media import Audio, VideoWriter
from lipforcing.timeline import SAMPLES_PER_FRAME

SPEECH = Path(__file__).parents[1] / "data" / "unseen_speech.safetensors"
SIZE = (160, 120)  # height, width: a face crop of the template's proportions
WHO = 91_000_000  # no recipe has met this person


def speech(number: int, frames: int, pause: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A mouth track [frames + pause, 5] and mono sound at 16 kHz: speech, then digital silence and a mouth at rest."""
    data = load_file(SPEECH)
    waveform = data["waveform"][number, : frames * SAMPLES_PER_FRAME].float() / 32768
    rest = torch.tensor(RELAXED).expand(pause, -1)
    silence = torch.zeros(pause * SAMPLES_PER_FRAME)
    return torch.cat([data["mouth"][number, :frames], rest]), torch.cat([waveform, silence])


def pictures(mouth: torch.Tensor, who: int = WHO, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """uint8 [T, H, W, 3] of a face crop."""
    return render(Identity.sample(who), mouth, sample_head(who, len(mouth)), size)


def write(path: Path, frames: torch.Tensor, waveform: torch.Tensor | None = None, **options) -> Path:
    """A video of 25 frames per second, lossless unless ``options`` say otherwise."""
    path.parent.mkdir(exist_ok=True)
    audio = None if waveform is None else Audio(waveform[None], 16_000)
    options = {"lossless": True} | options
    with VideoWriter(path, frames.shape[2], frames.shape[1], Fraction(25), audio=audio, **options) as writer:
        for number, picture in enumerate(frames):
            writer.write(picture, number / 25)
    return path
