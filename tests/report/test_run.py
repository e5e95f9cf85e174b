from __future__ import annotations

import json
from fractions import Fraction

import pytest

from lipforcing.errors import InputError
from lipforcing.evaluation.quality import Quality
from lipforcing.media import DurationPolicy
from lipforcing.pipeline import Passed, SyncResult
from lipforcing.report import RunReport, check_report
from lipforcing.stream.meter import StageTimes
from lipforcing.syncnet import SyncReport, Verdict
from lipforcing.syncnet.video import FaceScore, VideoScore


def result_at(path) -> SyncResult:
    return SyncResult(
        path=path,
        plan=DurationPolicy().plan(2.0, Fraction(25), 3.0, 75),
        frames=50,
        passed=(Passed(0.0, 0.4, 10, "no face"), Passed(1.0, 1.2, 5, "turned <too> far")),
        length=2.0,
        changed_outside=0,
        damaged=3,
        notes=("One & two.",),
        seconds=4.0,
        first_frame_seconds=0.5,
        stages={"read": StageTimes((0.1, 0.2, 0.3)), "denoise": StageTimes((1.0,))},
    )


def test_both_files_stand_beside_the_result_and_agree(tmp_path):
    silent = VideoScore((FaceScore(0, 50, None, SyncReport.without_figures(Verdict.SILENT)),))
    figures = Quality(40, 0.125, 8, None, 0, None, None, 0.75, 2.0, 1.25, True, 100.0, ("Nothing is silent.",))
    report = RunReport(result_at(tmp_path / "o.mp4"), {}, "written as H.264.", 10**9, figures, silent)
    paths = report.write()
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["o.mp4.report.json", "o.mp4.report.html"]
    data, html = json.loads(paths[0].read_text(encoding="utf-8")), paths[1].read_text(encoding="utf-8")
    assert (data["fps"], data["first_frame_seconds"], data["peak_memory"]) == (12.5, 0.5, 10**9)
    assert data["done"]["passed"][1] == {"start": 1.0, "end": 1.2, "frames": 5, "reason": "turned <too> far"}
    assert data["stages"]["read"] == {"total": pytest.approx(0.6), "median": 0.2, "runs": 3}
    assert data["sync"]["verdict"] == "silent audio" and data["quality"]["seam"] == 1.25
    for said in (
        "turned &lt;too&gt; far",
        "One &amp; two.",
        "silent audio",
        "0 samples changed",
        "12.5 frames per second",
    ):
        assert said in html
    assert "<too>" not in html and "http" not in html


def test_an_input_of_that_name_is_never_replaced(tmp_path):
    mine = tmp_path / "o.mp4.report.json"
    mine.write_text("{}")
    with pytest.raises(InputError, match="is an input itself"):
        check_report(tmp_path / "o.mp4", [mine])
    check_report(tmp_path / "o.mp4", [tmp_path / "other"])
    assert [path.name for path in tmp_path.iterdir()] == [mine.name]
