"""``lipforcing bench``: figures as text and as JSON."""

from __future__ import annotations

import json

from lipforcing.cli import main


def test_command_prints_json(capsys):
    assert main(["bench", "--chunks", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["preset"] == "tiny" and found["chunks"] == 1 and found["frames_per_second"] > 0
    assert {"encode", "denoise", "decode"} < set(found["stages"])
    assert main(["bench", "--chunks", "1", "--random-weights"]) == 0
    said = capsys.readouterr().out
    assert "tiny, fp32" in said and "frames per second" in said


def test_weights_that_are_not_here_are_said(capsys):
    assert main(["bench", "--preset", "wan_14b"]) == 2
    assert "--random-weights" in capsys.readouterr().err
    assert main(["bench", "--chunks", "0"]) == 2
