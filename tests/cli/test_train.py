"""``lipforcing train``, on the smallest recipe."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from lipforcing.cli import main, train
from lipforcing.distill.recipes import RECIPES

SMALL = ["--set", "people=2", "--set", "frames=4", "--set", "batch=4", "--set", "iterations=8"]


def test_the_command_trains_and_does_nothing_again(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    command = ["train", "meter", "--out", str(tmp_path), *SMALL]
    assert main(command) == 0
    path = tmp_path / "weights" / "meter.safetensors"
    assert capsys.readouterr().out.strip() == str(path)
    losses = [float(row.split(",")[2]) for row in (tmp_path / "meter.csv").read_text().splitlines()[1:]]
    assert len(losses) == 8 and losses[-1] < losses[0]
    first = load_file(path)
    path.unlink()
    assert main(command) == 0
    assert all(torch.equal(value, first[name]) for name, value in load_file(path).items())
    assert len((tmp_path / "meter.csv").read_text().splitlines()) == 9


def test_unknown_settings_are_refused(tmp_path, capsys):
    assert main(["train", "meter", "--out", str(tmp_path), "--set", "persons=2"]) == 2
    assert "people" in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_an_interrupted_training_says_how_it_goes_on(tmp_path, capsys, monkeypatch):
    class Stopped:
        def __init__(self, *_):
            raise KeyboardInterrupt

    monkeypatch.setitem(RECIPES, "meter", (RECIPES["meter"][0], Stopped))
    assert main(["train", "meter", "--out", str(tmp_path)]) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err


def test_every_recipe_has_its_name_here():
    assert tuple(RECIPES) == (*train.PARTS, *train.OTHERS)
