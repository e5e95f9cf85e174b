"""What an analysis leaves in its folder, from the published figures of the paper's own teacher."""

from __future__ import annotations

import csv
import json

import pytest

from lipforcing.analysis.results import FIGURE, SUMMARY, in_words, write_results

from .test_suggest import ERROR, STEPS, SYNC


def rows(clips: int = 3) -> list[dict]:
    found = []
    for guidance, sync in SYNC.items():
        for at, step in enumerate(STEPS):
            figures = {"sync_c": float(sync[at]), "mouth_error": float(ERROR[guidance][at]), "opening": 0.9}
            key = dict(zip(("first", "second"), guidance)) | {"step": step, "t": 0.5}
            for probe in ("trajectory", "two-step", "fresh noise"):
                found += [{"clip": f"{n}", "probe": probe, **key, **figures} for n in range(clips)]
    for probe in ("spatial", "control"):
        moved = {"mouth": 2.0, "rest": 1.0, "first": 1.0, "second": 4.5 if probe == "spatial" else 1.0, "t": 0.5}
        found += [{"clip": f"{n}", "probe": probe, "step": step, **moved} for n in range(clips) for step in STEPS]
    return found


def test_tables_figure_and_suggestion_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    found = write_results(rows(), tmp_path, "a title")
    window = "guide steps 20 to 33 (95 % of resampled clips: (20, 20) to (33, 33))"
    assert in_words(found) == f"{window}; land the second step at 30 (95 %: (30, 30))"
    assert json.loads((tmp_path / "suggestion.json").read_text())["landing"] == 30
    with open(tmp_path / SUMMARY, newline="") as file:
        (line,) = (
            row
            for row in csv.DictReader(file)
            if row["probe"] == "two-step" and row["step"] == "30" and row["first"] == row["second"] == "1.0"
        )
    assert float(line["sync_c"]) == pytest.approx(SYNC[1.0, 1.0][STEPS.index(30)])
    assert (tmp_path / FIGURE).read_bytes()[:4] == b"\x89PNG" and (tmp_path / "figures.csv").exists()


def test_no_window_is_said(tmp_path):
    pytest.importorskip("matplotlib")
    worse = [
        one | {"sync_c": 1.0} if (one["first"], one["second"]) == (1.0, 4.5) and "sync_c" in one else one
        for one in rows()
    ]
    found = write_results(worse, tmp_path, "")
    assert found.window is None and in_words(found).startswith("guide nowhere: it gains no sync; land")
