"""A rehearsal of the script for a GPU: the same sections at tiny sizes, so that the first real run does not stumble."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks import gpu


def test_rehearsal(tmp_path, capsys):
    gpu.main(["--out", str(tmp_path), "--small"])
    sections = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert [name.split(",")[0] for name in sections] == [
        "Numbers against the goldens",
        "Speed",
        "Does a chunk wait",
        "Kernels",
    ]
    assert not any(section["notes"] for section in sections.values()), sections
    rows = sections["Numbers against the goldens"]["rows"]
    assert len(rows) == 8 and all(row["within"] in ("yes", "") for row in rows)
    speeds = sections["Speed, tiny, float32"]["rows"]
    assert [row["run"].split(", ")[1] for row in speeds] == ["eager", "merged cache write", "compiled per block"]
    assert all(row["frames/s"] > 0 for row in speeds)
    assert {row["stage"] for row in sections["Does a chunk wait, tiny"]["rows"]} >= {"encode", "denoise", "decode"}
    assert "| kernel |" in (tmp_path / "gpu.md").read_text()


def test_a_wrong_number_is_said():
    import torch

    assert gpu.error_row("x", torch.ones(2), torch.zeros(2), (0.5, 0.5))["within"] == "NO"


def test_a_section_is_stopped_at_its_limit():
    began = time.monotonic()
    with pytest.raises(gpu.OutOfTime), gpu.limited(0.2):
        while True:
            time.sleep(0.05)
    assert time.monotonic() - began < 2
