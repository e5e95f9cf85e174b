"""What every audio encoder of the engine offers: one feature row per 25 fps video frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from ..timeline import SAMPLE_RATE, frames_for_samples

#: Rows of silence after a recording: enough to fill any last chunk, so that only longer gaps repeat a row.
SILENT_ROWS = 16


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
        features: [V, D] float32, one row per 25 fps video frame. The last row is silence, see ``encode``.
        seconds: length of the recording.
    """

    features: torch.Tensor
    seconds: float

    @classmethod
    def encode(cls, encoder: AudioEncoder, waveform: torch.Tensor) -> AudioFeatures:
        """Encode a whole recording (mono [samples] at 16 kHz) and the ``SILENT_ROWS`` of silence after it."""
        rows = frames_for_samples(len(waveform)) + SILENT_ROWS
        return cls(encoder(waveform, rows), len(waveform) / SAMPLE_RATE)

    def rows(self, count: int) -> torch.Tensor:
        """The first ``count`` rows [count, D]; beyond the recording, the silence after it goes on."""
        missing = max(0, count - len(self.features))
        return torch.cat([self.features[:count], self.features[-1:].expand(missing, -1)])
