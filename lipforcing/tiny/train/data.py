"""Training data of the tiny family: drawn faces, spoken sentences, and their latents."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ...drawn.faces import MOUTH, Identity, render, sample_head
from ...drawn.speech import utterance
from ...timeline import FPS

SIZE = (128, 128)


def pixels(frames: Tensor) -> Tensor:
    """uint8 [..., T, H, W, 3] to codec pixels [..., 3, T, H, W] in [-1, 1]."""
    return frames.movedim(-1, -4).float() / 127.5 - 1


def random_mouth(generator: torch.Generator, frames: int) -> Tensor:
    """Mouth track [frames, 5] that moves at random, faster than speech does; half of the time the mouth is closed."""
    keys = torch.rand(frames // 3 + 2, len(MOUTH), generator=generator)
    keys[:, 0] *= (torch.rand(len(keys), generator=generator) < 0.75).float()
    at = torch.arange(frames) / 3
    before, phase = at.long(), (at % 1)[:, None]
    ease = 0.5 - 0.5 * torch.cos(torch.pi * phase)
    return keys[before] * (1 - ease) + keys[before + 1] * ease


def random_clips(seed: int, count: int, frames: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``count`` clips of as many people with mouths moving at random: uint8 [frames, 128, 128, 3] and mouth tracks."""
    generator = torch.Generator().manual_seed(seed)
    for i in range(count):
        who = seed * 1_000_003 + i
        mouth = random_mouth(generator, frames)
        yield render(Identity.sample(who), mouth, sample_head(who, frames), SIZE), mouth


@dataclass(frozen=True)
class SpeechClips:
    """People saying one thing to the sound of another, the situation of dubbing.

    Clip ``i`` shows one person and one head motion twice: with the mouth of another utterance (``source``, what the
    model is given) and with the mouth of its own (``target``, what it has to make).

    Attributes:
        source, target: uint8 [clips, frames, 128, 128, 3].
        mouth: mouth tracks [clips, frames, 5] of the target.
        waveform: [clips, frames * 640], of the target.
    """

    source: Tensor
    target: Tensor
    mouth: Tensor
    waveform: Tensor


def speech_clips(seed: int, count: int, frames: int, folder: Path) -> SpeechClips:
    """Speak and draw ``count`` clips, or take them from ``folder`` where an earlier call left them."""
    name = f"clips_{seed}_{count}_{frames}"
    path, speech = folder / f"{name}.npy", folder / f"{name}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        spoken = [utterance(seed * 1_000_003 + i, frames / FPS) for i in tqdm(range(count), desc="speech")]
        waveforms, mouths = (torch.stack(parts) for parts in zip(*spoken))
        save_file({"waveform": waveforms, "mouth": mouths}, speech)
        partial = path.with_suffix(".partial")
        pictures = np.lib.format.open_memmap(partial, "w+", np.uint8, (2, count, frames, *SIZE, 3))
        for i in tqdm(range(count), desc="talking faces", mininterval=5):
            who = seed * 1_000_003 + i
            pose = sample_head(who, frames)
            for version, mouth in enumerate((mouths[i - 1], mouths[i])):
                pictures[version, i] = render(Identity.sample(who), mouth, pose, SIZE).numpy()
        pictures.flush()
        partial.rename(path)
    said = load_file(speech)
    pictures = np.load(path, mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pictures are read-only and stay so
        source, target = (torch.from_numpy(version) for version in pictures)
    return SpeechClips(source, target, said["mouth"], said["waveform"])
