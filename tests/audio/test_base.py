"""Features of a recording and of what follows it."""

from __future__ import annotations

import torch

from lipforcing.audio.base import SILENT_ROWS, AudioFeatures


class Loudness:
    feature_dim = 1

    def __call__(self, waveform: torch.Tensor, frames: int) -> torch.Tensor:
        return torch.nn.functional.pad(waveform, (0, frames * 640 - len(waveform))).view(frames, 640, 1).abs().amax(1)


def test_silence_follows_the_recording():
    features = AudioFeatures.encode(Loudness(), torch.full((1000,), 0.5))
    assert features.seconds == 1000 / 16_000 and len(features.features) == 2 + SILENT_ROWS
    rows = features.rows(40)
    assert rows.shape == (40, 1) and (rows[:2] == 0.5).all() and (rows[2:] == 0).all()
    assert torch.equal(features.rows(1), rows[:1])
