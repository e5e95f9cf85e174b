"""The loop that all recipes share."""

from __future__ import annotations

import csv

import pytest
import torch
from torch import nn

from lipforcing.tiny.train import loop
from lipforcing.tiny.train.loop import Recipe, train

RECIPE = Recipe("line", iterations=60, learning_rate=0.05, seed=1)
X = torch.randn(64, 4, generator=torch.Generator().manual_seed(5))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.3


def line() -> nn.Linear:
    torch.manual_seed(RECIPE.seed)
    return nn.Linear(4, 1)


def fit(model: nn.Linear, until: int | None = None):
    def step(i: int) -> dict[str, torch.Tensor]:
        if i == until:
            raise KeyboardInterrupt
        return {"loss": (model(X) - Y).square().mean()}

    return step


def test_it_learns_and_logs(tmp_path):
    pytest.importorskip("matplotlib")
    model = line()
    before = fit(model)(0)["loss"]
    train(model, fit(model), RECIPE, tmp_path)
    assert fit(model)(0)["loss"] < 0.9 * before
    with open(tmp_path / "line.csv", newline="") as file:
        names, *rows = csv.reader(file)
    assert names == ["step", "seconds", "loss"] and [int(row[0]) for row in rows] == list(range(60))
    assert float(rows[0][2]) == pytest.approx(float(before), rel=1e-4)
    assert (tmp_path / "line.png").stat().st_size > 1000 and not (tmp_path / "line.ckpt").exists()


def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 20)
    whole, interrupted, resumed = line(), line(), line()
    train(whole, fit(whole), RECIPE, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, fit(interrupted, until=47), RECIPE, tmp_path / "parts")
    started = []

    def step(i: int) -> dict[str, torch.Tensor]:
        started.append(i)
        return fit(resumed)(i)

    train(resumed, step, RECIPE, tmp_path / "parts")
    assert started == list(range(40, 60))
    torch.testing.assert_close(resumed.weight, whole.weight, rtol=0, atol=1e-6)
