from __future__ import annotations

import hashlib
import json

import pytest

from lipforcing.cli import main
from lipforcing.tiny import family

CLIP, SPEECH = family.SAMPLES / "ben.mp4", family.SAMPLES / "market.wav"


def sync(out, *options: str) -> int:
    return main(["sync", str(CLIP), str(SPEECH), "-o", str(out), "--face", "full", "--report", *options])


def test_a_run_reports_what_it_did_and_with_what(tmp_path, capsys):
    out = tmp_path / "out.mkv"
    assert sync(out, "--limit", "1.6", "--seed", "5") == 0
    data = json.loads((tmp_path / "out.mkv.report.json").read_text(encoding="utf-8"))
    assert f"The report is {out}.report.html" in capsys.readouterr().out
    assert data["done"]["frames"] == 40 and data["done"]["changed_outside"] == 0 and data["fps"] > 0
    made = data["manifest"]
    digests = {role: entry["sha256"] for kind in ("inputs", "weights") for role, entry in made[kind].items()}
    files = {"video": CLIP, "audio": SPEECH, **{part: family.weights_path(part) for part in ("student", "codec")}}
    assert digests == {role: hashlib.sha256(path.read_bytes()).hexdigest() for role, path in files.items()}
    assert made["options"]["seed"] == 5
    assert data["quality"]["frames"] == 40 and 0.2 < data["quality"]["sharpness_ratio"] < 2
    assert data["sync"]["faces"][0]["seconds"] == 1.6 and data["sync"]["confidence"] > 0
    page = (tmp_path / "out.mkv.report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 6 and digests["student"] in page


@pytest.mark.parametrize("options", [("--syncnet", str(SPEECH)), ("--syncnet", "nowhere.pth")])
def test_what_cannot_be_measured_with_is_said_before_the_run(tmp_path, capsys, options):
    assert sync(tmp_path / "out.mp4", *options) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_said_before_the_run(tmp_path, capsys):
    (tmp_path / "out.mp4.report.html").mkdir()
    assert sync(tmp_path / "out.mp4") == 2
    assert "out.mp4.report.html is a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.report.html"]
