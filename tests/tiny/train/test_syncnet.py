"""The tiny SyncNet's recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.models.syncnet import SyncNet
from lipforcing.tiny.train import syncnet
from lipforcing.tiny.train.data import SpeechClips


def test_a_few_steps(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(syncnet, "RECIPE", replace(syncnet.RECIPE, iterations=2))
    monkeypatch.setattr(syncnet, "BATCH", 2)
    frames = 40
    pictures = torch.randint(0, 255, (2, frames, 128, 128, 3), dtype=torch.uint8)
    clips = SpeechClips(pictures, pictures, torch.zeros(2, frames, 5), 0.1 * torch.randn(2, frames * 640))
    model = syncnet.run(clips, tmp_path)
    assert isinstance(model, SyncNet) and all(p.isfinite().all() for p in model.parameters())
    header, *rows = (tmp_path / "syncnet.csv").read_text().splitlines()
    assert header == "step,seconds,loss,hits" and len(rows) == 2
    loss, hits = map(float, rows[0].split(",")[2:])
    assert loss > 2 and hits < 0.5  # there is nothing to find in noise
