"""The mouth meter's recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.tiny.meter import MouthMeter
from lipforcing.tiny.train import meter


def test_a_few_steps(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    for name, value in {"PEOPLE": 2, "FRAMES": 4, "BATCH": 4, "RECIPE": replace(meter.RECIPE, iterations=8)}.items():
        monkeypatch.setattr(meter, name, value)
    trained = meter.run(tmp_path)
    assert isinstance(trained, MouthMeter)
    losses = [float(row.split(",")[2]) for row in (tmp_path / "meter.csv").read_text().splitlines()[1:]]
    assert len(losses) == 8 and losses[-1] < losses[0]
    with torch.inference_mode():
        assert trained(torch.zeros(1, 3, 128, 128)).isfinite().all()
