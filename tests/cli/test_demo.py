"""``lipforcing demo``: figures, and the files it promises."""

from __future__ import annotations

from lipforcing.cli import main


def test_command_prints_figures(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "new folder")]) == 0
    printed = capsys.readouterr().out
    assert "fps" in printed and "first frame after" in printed and "Sync-C" in printed
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == [
        "mouth.png",
        "result.mp4",
        "side_by_side.mp4",
    ]
