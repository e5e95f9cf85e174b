"""Clips that a teacher is asked to reconstruct: drawn ones, or face crops with sound from a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..drawn.faces import Identity, render, sample_head
from ..drawn.speech import utterance
from ..errors import InputError
from ..media import AudioSource
from ..timeline import FPS, samples_for_frames
from ..tiny.family import CROP_SIZE
from ..tiny.measure import read_crops

PEOPLE, SPEECH = 66_000_000, 78_000_000  # seeds of the clips that figures are measured on; no recipe trains on them
FRAMES = 45  # four chunks; SyncNet needs 36
SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm"}


@dataclass(frozen=True, eq=False)
class Clip:
    """One person twice, never in the same moment of speech.

    Attributes:
        name: of the clip.
        target: what is to be made, uint8 [45, 128, 128, 3].
        source: what the teacher sees of the person, of the same size.
        waveform: [45 * 640], of the target.
    """

    name: str
    target: Tensor
    source: Tensor
    waveform: Tensor


def drawn_clip(number: int) -> Clip:
    """A drawn person with one head motion, whose mouth says the clip's sentence, and another one as source."""
    waveform, mouth = utterance(SPEECH + number, FRAMES / FPS)
    _, other = utterance(SPEECH + number - 1, FRAMES / FPS)
    who, pose = Identity.sample(PEOPLE + number), sample_head(PEOPLE + number, FRAMES)
    target, source = (render(who, track, pose, (CROP_SIZE, CROP_SIZE)) for track in (mouth, other))
    return Clip(f"clip_{number:03d}", target, source, waveform)


def filmed_clip(path: Path) -> Clip:
    """A video that is a face crop: its second 45 frames are the target, the 45 before them the source.

    Raises:
        InputError: it is shorter, cannot be read or has no sound.
    """
    crops = read_crops(str(path), 2 * FRAMES)
    if len(crops) < 2 * FRAMES:
        raise InputError(f"{path} has {len(crops)} frames at {FPS} fps; give clips of {2 * FRAMES} or more.")
    span = samples_for_frames(FRAMES)
    waveform = torch.nn.functional.pad(AudioSource(str(path)).mono16k(), (0, 2 * span))[span : 2 * span]
    return Clip(path.stem, crops[FRAMES:], crops[:FRAMES], waveform)


def filmed(folder: Path) -> list[Path]:
    """Videos of a folder, by name.

    Raises:
        InputError: there are none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{folder} holds no videos; give a folder of face crops with sound.")
    return found
