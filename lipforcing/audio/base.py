"""What every audio encoder of the engine offers: one feature row per 25 fps video frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


class AudioEncoder(Protocol):
    """Turns speech into the rows that condition the video model.

    Attributes:
        feature_dim: length D of a row.
    """

    feature_dim: int

    def __call__(self, waveform: torch.Tensor, frames: int) -> torch.Tensor:
        """Encode ``waveform`` (mono float32 [samples] in [-1, 1], 16 kHz) into [frames, feature_dim] float32.

        Row i belongs to video frame i, that is to samples [640 i, 640 i + 640). Where the waveform is shorter
        than the frames it counts as followed by silence; where it is longer the rest is not returned.
        """
        ...


@dataclass(frozen=True)
class AudioFeatures:
    """Audio features of one clip.

    Attributes:
        features: [V, D] float32, one row per 25 fps video frame.
    """

    features: torch.Tensor
