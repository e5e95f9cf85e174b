"""``lipforcing evaluate``: text, JSON, files, and one sentence for bad input."""

from __future__ import annotations

import json

import pytest

from lipforcing.cli import main
from tests.evaluation.clips import clip

pytest.importorskip("skimage")


def test_command(tmp_path, capsys):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, seed in ((a, 1), (b, 0)):
        for name in ("one", "two"):
            clip(folder / f"{name}.mkv", seed=seed, frames=7)
    arguments = ["evaluate", str(a), "--reference", str(b), "--face", "full"]
    assert main([*arguments, "--against", str(b)]) == 0
    printed = capsys.readouterr()
    assert "SSIM mouth" in printed.out and "difference to the other system" in printed.out and "2 of 2" in printed.err
    assert main([*arguments, "--against", str(b), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["against"]["psnr_mouth"]["losses"] == 2 and plain["boxes"] == "reference"
    assert main([*arguments, "--csv", "-o", str(tmp_path / "t.csv")]) == 0
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 3 and not capsys.readouterr().out
    assert main([*arguments, "--html", "-o", str(tmp_path / "t.html")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "t.csv", "t.html"]


@pytest.mark.parametrize(
    "extra, said",
    [
        (["--reference", "nowhere"], "nowhere is no folder"),
        (["--reference", ".", "--lpips-weights", "none.pth"], "none.pth"),
        (["--reference", ".", "--identity-weights", "none.pth"], "none.pth"),
        (["--reference", ".", "--fid-weights", "none.pth"], "none.pth"),
        (["--reference", ".", "--fvd-weights", "none.pt"], "none.pt"),
        (["--reference", ".", "-o", "nowhere/out.html"], "nowhere"),
        (["--reference", ".", "--face", "auto", "--detector", "none.pth"], "none.pth"),
    ],
)
def test_bad_input_is_one_sentence(extra, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["evaluate", str(tmp_path), *extra]
    assert main(arguments if "--face" in extra else [*arguments, "--face", "full"]) == 2
    printed = capsys.readouterr().err.strip()
    assert printed.startswith("lipforcing: ") and said in printed and len(printed.splitlines()) == 1
