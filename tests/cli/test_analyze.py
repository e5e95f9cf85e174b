"""``lipforcing analyze``; what it does is in tests/analysis."""

from __future__ import annotations

import pytest

from lipforcing.analysis import run
from lipforcing.cli import analyze, main
from lipforcing.tiny import family


def test_teachers_of_other_kinds_are_refused(capsys, tmp_path):
    assert main(["analyze", "--model", str(family.weights_path("syncnet")), "--out", str(tmp_path)]) == 2
    assert "syncnet" in capsys.readouterr().err
    assert main(["analyze", "--clips", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "no videos" in capsys.readouterr().err


def test_the_cost_is_said_first_and_a_cancelled_run_says_how_it_goes_on(capsys, tmp_path, monkeypatch):
    def cancelled(*_):
        raise KeyboardInterrupt

    asked = []
    monkeypatch.setattr("lipforcing.analysis.clips.drawn_clip", lambda number: number)
    monkeypatch.setattr(run, "cost", lambda *given: asked.append(given) or run.Cost(10, 20, 300.0))
    monkeypatch.setattr(run, "analyse", cancelled)
    assert main(["analyze", "--out", str(tmp_path)]) == 130
    said = capsys.readouterr().err
    assert "8 clips, 10 calls and 20 measurements, about 5 minutes" in said and "last finished clip" in said
    assert asked[0][2:] == (8, run.EVERY_FIFTH)


def test_the_teacher_of_the_family_and_the_same_from_its_file():
    packaged, read = (analyze.load_teacher(name) for name in ("tiny", str(family.weights_path("teacher"))))
    assert all((a == b).all() for a, b in zip(packaged.parameters(), read.parameters()))
    with pytest.raises(Exception, match="nowhere"):
        analyze.load_teacher("nowhere.safetensors")
