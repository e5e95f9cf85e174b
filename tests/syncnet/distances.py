"""Distances of embeddings, as the stream of them gives them, for reports whose truth is known."""

from __future__ import annotations

import math

import torch

from lipforcing.models.syncnet import SyncNetConfig
from lipforcing.syncnet.score import Distances
from lipforcing.timeline import SAMPLES_PER_FRAME

SMALL = SyncNetConfig(image_size=64, lip_channels=(2, 3, 4, 5, 6, 7), audio_channels=(3, 4, 5, 6, 7, 8), embedding=9)

LOUD = torch.arange(200 * SAMPLES_PER_FRAME).remainder(7).sub(3).mul(1000).to(torch.int16)


def rows_of(lips: torch.Tensor, audio: torch.Tensor, batch: int = 7) -> torch.Tensor:
    """Distances [N, 31] of N lip embeddings, followed by the unused last one, to N audio embeddings."""
    unused = torch.full_like(lips[:1], math.nan)
    return rows_of_stream(torch.cat([lips, unused]).split(batch), lambda first, end: audio[first:end], len(audio))


def rows_of_stream(lips, audio, audio_windows: int) -> torch.Tensor:
    stream = Distances(audio, audio_windows)
    rows = [stream.push(block) for block in lips]
    return torch.cat([*rows, stream.close()])
