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
        "Training step",
    ]
    assert not any(section["notes"] for section in sections.values()), sections
    rows = sections["Numbers against the goldens"]["rows"]
    assert len(rows) == 8 and all(row["within"] in ("yes", "") for row in rows)
    speeds = sections["Speed, tiny, float32"]["rows"]
    assert [row["run"].split(", ")[1] for row in speeds] == ["eager", "merged cache write", "compiled per block"]
    assert all(row["frames/s"] > 0 for row in speeds)
    assert {row["stage"] for row in sections["Does a chunk wait, tiny"]["rows"]} >= {"encode", "denoise", "decode"}
    (step,) = sections["Training step"]["rows"]
    assert step["result"] == "done" and step["s"] > 0 and step["predicted GB"] > 0
    assert "| kernel |" in (tmp_path / "gpu.md").read_text()


def test_minutes_are_the_limit_of_all(tmp_path):
    gpu.main(["--out", str(tmp_path), "--small", "--minutes", "0.05"])
    sections = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert len(sections) == 5
    assert all(not found["rows"] and set(found["notes"]) == {"not run: no time left"} for found in sections.values())


def test_a_shorter_sample_is_tried_only_where_a_longer_one_does_not_fit(monkeypatch):
    cases = [gpu.Case("wan_14b", lora_rank=128, chunks=chunks) for chunks in (7, 3, 2)]
    fits = {cases[1]}
    monkeypatch.setattr(gpu, "measure", lambda case, *_: {"result": "done" if case in fits else "out of memory"})
    assert [row["result"] for row in gpu.training(None, cases, 1.0)] == ["out of memory", "done"]


def test_a_wrong_number_is_said():
    import torch

    assert gpu.error_row("x", torch.ones(2), torch.zeros(2), (0.5, 0.5))["within"] == "NO"


def test_a_section_is_stopped_at_its_limit():
    began = time.monotonic()
    with pytest.raises(gpu.OutOfTime), gpu.limited(0.2):
        while True:
            time.sleep(0.05)
    assert time.monotonic() - began < 2
