"""The tiny SyncNets' recipes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.distill.recipes import syncnet
from lipforcing.distill.recipes.data import SpeechClips
from lipforcing.distill.recipes.workshop import Workshop
from lipforcing.distill.trainer import train
from lipforcing.models.syncnet import SyncNetConfig
from lipforcing.tiny import family


@pytest.mark.parametrize(
    ("recipe", "config"), [(syncnet.RECIPE, SyncNetConfig.tiny()), (syncnet.LOGMEL, SyncNetConfig.tiny_logmel())]
)
def test_a_few_steps(monkeypatch, tmp_path, recipe, config):
    pytest.importorskip("matplotlib")
    frames = 40
    pictures = torch.randint(0, 255, (2, frames, 128, 128, 3), dtype=torch.uint8)
    clips = SpeechClips(pictures, pictures, torch.zeros(2, frames, 5), 0.1 * torch.randn(2, frames * 640))
    monkeypatch.setattr(syncnet, "speech_clips", lambda *_: clips)
    task = syncnet.SyncNetTask(replace(recipe, iterations=2, batch=2), Workshop(tmp_path))
    model = train(task, tmp_path, tmp_path / "states")["syncnet"]
    assert model.config == config and all(p.isfinite().all() for p in model.parameters())
    header, *rows = (tmp_path / f"{recipe.name}.csv").read_text().splitlines()
    assert header == "step,seconds,loss,hits" and len(rows) == 2
    loss, hits = map(float, rows[0].split(",")[2:])
    assert loss > 2 and hits < 0.5  # there is nothing to find in noise
    model.netcnnlip[1].running_var.fill_(1e5 if config.sound == "logmel" else 1e4)  # as met in training
    family.save(recipe.name, model, {}, tmp_path)
