"""``lipforcing prepare``; what it makes is in tests/distill/test_prepare.py."""

from __future__ import annotations

import pytest

from lipforcing.cli import main


def test_it_says_what_came_of_the_videos(tmp_path, capsys):
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    (videos / "a.mp4").write_text("nothing")
    assert main(["prepare", str(videos), str(out), "--frames", "37"]) == 0
    said = capsys.readouterr().out
    assert "1 " in said and "a.mp4" in said and str(out / "report.json") in said
    assert (out / "train.txt").read_text() == ""


@pytest.mark.parametrize("options", [["--frames", "80"], ["--workers", "0"], ["--codec", "vae.pth"]])
def test_bad_options_are_refused(tmp_path, capsys, options):
    (tmp_path / "a.mp4").touch()
    assert main(["prepare", str(tmp_path), str(tmp_path / "out"), *options]) == 2
    assert "give" in capsys.readouterr().err
