"""What is made once."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from lipforcing import drawn
from lipforcing.distill.cache import code_hash, fingerprint, made, weights_hash


def test_a_fingerprint_is_of_the_values():
    assert fingerprint({"seed": 1, "size": (2, 3)}) == fingerprint({"size": [2, 3], "seed": 1})
    assert len({fingerprint({"seed": 1}), fingerprint({"seed": 2}), fingerprint({"sees": 1})}) == 3


def test_weights_and_code_have_hashes():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = weights_hash(module)
    assert weights_hash(module) == before
    with torch.no_grad():
        module[1].running_mean[0] += 1e-6
    assert weights_hash(module) != before
    assert len({weights_hash(module.to(dtype)) for dtype in (torch.float32, torch.bfloat16)}) == 2
    assert len(code_hash(drawn)) == 16


def test_a_folder_is_made_once_for_everything_that_makes_it(tmp_path):
    asked = []

    def make(folder):
        asked.append(folder)
        (folder / "data").write_text("made")

    first = made(tmp_path, "clips", {"seed": 1}, make)
    assert (first / "data").read_text() == "made" and json.loads((first / "made_of.json").read_text()) == {"seed": 1}
    assert made(tmp_path, "clips", {"seed": 1}, make) == first and len(asked) == 1
    assert made(tmp_path, "clips", {"seed": 2}, make) != first and len(asked) == 2


def test_what_was_half_made_is_made_again(tmp_path):
    def fail(folder):
        (folder / "data").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, "clips", {}, fail)
    folder = made(tmp_path, "clips", {}, lambda folder: (folder / "other").write_text("whole"))
    assert sorted(path.name for path in folder.iterdir()) == ["made_of.json", "other"]
    assert list(tmp_path.iterdir()) == [folder]
