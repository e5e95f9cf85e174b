"""Training data of the tiny family: drawn faces and spoken sentences, made once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ... import drawn
from ...drawn.faces import MOUTH, Identity, render, sample_head
from ...drawn.speech import utterance, varied_utterance
from ...timeline import FPS
from ..cache import code_hash, made

SIZE = (128, 128)
UNSEEN, UNSEEN_PEOPLE = 29, 4  # seed of what recipes are validated on, and how many people
PER_SEED = 1_000_003  # people and utterances of a seed are numbered from seed times this


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
        who = seed * PER_SEED + i
        mouth = random_mouth(generator, frames)
        yield render(Identity.sample(who), mouth, sample_head(who, frames), SIZE), mouth


def random_faces(seed: int, count: int, frames: int, root: Path) -> tuple[Tensor, Tensor]:
    """``random_clips``, kept in ``root``: pictures [count, frames, 128, 128, 3] and mouth tracks [count, frames, 5]."""

    def make(folder: Path) -> None:
        clips = tqdm(random_clips(seed, count, frames), total=count, desc="faces", mininterval=5)
        pictures, mouths = zip(*clips)
        save_file({"pictures": torch.stack(pictures), "mouth": torch.stack(mouths)}, folder / "faces.safetensors")

    what = {"seed": seed, "count": count, "frames": frames, "size": SIZE, "drawn": code_hash(drawn)}
    found = load_file(made(root, "faces", what, make) / "faces.safetensors")
    return found["pictures"], found["mouth"]


@dataclass(frozen=True)
class Spoken:
    """Which talking clips: a seed's first ``count``, of ``frames`` frames each.

    Attributes:
        seed, count, frames: which.
        varied: of many languages, with long pauses and with noise or music, instead of English alone.
        stride: frames from one window of a clip to the next, as the transformer sees it (``latents.WINDOW``).
    """

    seed: int = 21
    count: int = 360
    frames: int = 105
    varied: bool = False
    stride: int = 17

    def what(self) -> dict:
        """All that they are made of."""
        return {**asdict(self), "size": SIZE, "drawn": code_hash(drawn)}


SPOKEN = Spoken()
# Windows that do not overlap: other clips teach more than other cuts of the same, for the same encoding.
VARIED = Spoken(seed=23, count=480, varied=True, stride=36)
UNSEEN_SPOKEN = Spoken(seed=UNSEEN, count=UNSEEN_PEOPLE, frames=33)


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


def speech_clips(spoken: Spoken, root: Path) -> SpeechClips:
    """Speak and draw clips, or take them from ``root`` where an earlier call left them."""

    def make(folder: Path) -> None:
        numbers = [spoken.seed * PER_SEED + i for i in range(spoken.count)]
        say = varied_utterance if spoken.varied else utterance
        said = [say(number, spoken.frames / FPS) for number in tqdm(numbers, desc="speech")]
        waveforms, mouths = (torch.stack(parts) for parts in zip(*said))
        save_file({"waveform": waveforms, "mouth": mouths}, folder / "speech.safetensors")
        shape = (2, spoken.count, spoken.frames, *SIZE, 3)
        pictures = np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, shape)
        for i, who in enumerate(tqdm(numbers, desc="talking faces", mininterval=5)):
            pose = sample_head(who, spoken.frames)
            for version, mouth in enumerate((mouths[i - 1], mouths[i])):
                pictures[version, i] = render(Identity.sample(who), mouth, pose, SIZE).numpy()
        pictures.flush()

    folder = made(root, "clips", spoken.what(), make)
    said = load_file(folder / "speech.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pictures are read-only and stay so
        source, target = (torch.from_numpy(version) for version in np.load(folder / "pictures.npy", mmap_mode="r"))
    return SpeechClips(source, target, said["mouth"], said["waveform"])
