"""Sync figures of videos of drawn faces that are face crops already."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from ..media import AudioSource, VideoReader, clock_frames
from ..syncnet import SyncReport, score
from ..syncnet.tracks import whole_crop
from . import family
from .meter import correlation


@dataclass(frozen=True)
class MouthFigures:
    """What was measured of one video.

    Attributes:
        opening: mouth opening [frames] at 25 fps as the meter reads it off the picture.
        correlation: of ``opening`` with the opening that the speech calls for.
        sync: Sync-C, Sync-D and offset by the tiny SyncNet.
    """

    opening: Tensor
    correlation: float
    sync: SyncReport


def read_crops(video: str, frames: int | None = None) -> Tensor:
    """Pictures of a face-crop video on the 25 fps clock: uint8 [T, 128, 128, 3]."""
    with VideoReader(video) as reader:
        shown = (group.shows.image for group in clock_frames(reader.frames()))
        return torch.stack([small_crop(image) for image in islice(shown, frames)])


def small_crop(image: Tensor) -> Tensor:
    """A picture uint8 [H, W, 3] that is a face crop, at the family's size: uint8 [128, 128, 3]."""
    return whole_crop(image, family.CROP_SIZE)


@torch.inference_mode()
def measure(crops: Tensor, speech: str | Tensor, wanted: Tensor) -> MouthFigures:
    """Measure crops uint8 [T, 128, 128, 3] against a speech (file, or mono [samples] at 16 kHz).

    ``wanted`` is the mouth opening [T'] that the speech calls for; the shorter of both is compared.
    """
    waveform = AudioSource(speech).mono16k() if isinstance(speech, str) else speech
    opening = family.load("meter")(crops.permute(0, 3, 1, 2).float() / 127.5 - 1)[:, 0]
    length = min(len(opening), len(wanted))
    sync = score(family.load("syncnet"), crops, waveform)
    return MouthFigures(opening, correlation(opening[:length], wanted[:length]), sync)
