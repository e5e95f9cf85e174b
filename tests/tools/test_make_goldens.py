"""Golden sets of other sizes: the engine is held to them, too."""

from __future__ import annotations

import os
import subprocess
import sys

from safetensors.torch import load_file

from tools.make_goldens import CHUNKS, GRID, ROOT, main

PARITY = ("tests/models/test_transformer.py", "tests/sampling/test_causal.py")


def test_the_engine_agrees_with_sets_it_was_not_tuned_to(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_goldens", str(tmp_path), "--seed", "3"])
    main()
    made = load_file(tmp_path / "student_ar.safetensors")
    assert made[f"chunk{CHUNKS - 1}/x0"].shape == (1, 16, 3, *GRID)
    environment = {**os.environ, "LIPFORCING_GOLDENS": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PARITY]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "student_fullattn: flow" in run.stdout and "teacher_bidir: guided x0" in run.stdout
