"""Training data of the tiny family: drawn faces and spoken sentences, made once."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
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
WORTH_A_PROCESS = 8  # clips; to start one takes a second
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


def in_parallel(work: Callable, items: Sequence, what: str) -> Iterable:
    """``work`` of every item, in their order, on all cores where there is enough of it; with progress.

    What goes in and comes out is plain values and NumPy arrays: tensors would take a file descriptor each.
    """
    workers = min(os.cpu_count() or 1, len(items) // WORTH_A_PROCESS)
    if workers < 2:
        yield from map(work, tqdm(items, desc=what, mininterval=5))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        yield from tqdm(pool.map(work, items), total=len(items), desc=what, mininterval=5)


def drawn_clip(clip: tuple[int, Sequence[np.ndarray]]) -> np.ndarray:
    """A person and a head motion with each of some mouths [T, 5]: uint8 [mouths, T, 128, 128, 3]."""
    who, mouths = clip
    pose = sample_head(who, len(mouths[0]))
    return np.stack([render(Identity.sample(who), torch.from_numpy(m), pose, SIZE).numpy() for m in mouths])


def random_clips(seed: int, count: int, frames: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``count`` clips of as many people with mouths moving at random: uint8 [frames, 128, 128, 3] and mouth tracks."""
    generator = torch.Generator().manual_seed(seed)
    mouths = [random_mouth(generator, frames) for _ in range(count)]
    clips = [(seed * PER_SEED + i, [mouth.numpy()]) for i, mouth in enumerate(mouths)]
    for mouth, (pictures,) in zip(mouths, in_parallel(drawn_clip, clips, "faces")):
        yield torch.from_numpy(pictures), mouth


def random_faces(seed: int, count: int, frames: int, root: Path) -> tuple[Tensor, Tensor]:
    """``random_clips``, kept in ``root``: pictures [count, frames, 128, 128, 3] and mouth tracks [count, frames, 5]."""

    def make(folder: Path) -> None:
        pictures, mouths = zip(*random_clips(seed, count, frames))
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


def said(spoken: Spoken, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Waveform [frames * 640] and mouth track [frames, 5] of an utterance."""
    waveform, mouth = (varied_utterance if spoken.varied else utterance)(number, spoken.frames / FPS)
    return waveform.numpy(), mouth.numpy()


def speech_clips(spoken: Spoken, root: Path) -> SpeechClips:
    """Speak and draw clips, or take them from ``root`` where an earlier call left them."""

    def make(folder: Path) -> None:
        numbers = [spoken.seed * PER_SEED + i for i in range(spoken.count)]
        waveforms, mouths = zip(*in_parallel(partial(said, spoken), numbers, "speech"))
        speech = {"waveform": np.stack(waveforms), "mouth": np.stack(mouths)}
        save_file({name: torch.from_numpy(part) for name, part in speech.items()}, folder / "speech.safetensors")
        shape = (2, spoken.count, spoken.frames, *SIZE, 3)
        pictures = np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, shape)
        clips = [(who, (mouths[i - 1], mouths[i])) for i, who in enumerate(numbers)]
        for i, versions in enumerate(in_parallel(drawn_clip, clips, "talking faces")):
            pictures[:, i] = versions
        pictures.flush()

    folder = made(root, "clips", spoken.what(), make)
    speech = load_file(folder / "speech.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pictures are read-only and stay so
        source, target = (torch.from_numpy(version) for version in np.load(folder / "pictures.npy", mmap_mode="r"))
    return SpeechClips(source, target, speech["mouth"], speech["waveform"])
