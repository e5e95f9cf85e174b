"""An evaluation as text, CSV and HTML."""

from __future__ import annotations

import csv
import io

from lipforcing.evaluation import Evaluation
from lipforcing.evaluation.compare import Difference
from lipforcing.evaluation.report import HEADER, PAIRED_HEADER, paired_table, strip, table, to_csv, to_html, to_text


def test_reports():
    clips = {"a<b": {"sync_c": 2.0, "fps": 10.0}, "c": {"sync_c": 4.0}}
    evaluation = Evaluation(clips, {"fid": 12.5}, ["c: a <problem>"])
    text = to_text(evaluation)
    assert "3.000" in text and "12.500" in text and "LPIPS mouth: needs --lpips-weights FILE" in text
    assert "a <problem>" in text
    rows = list(csv.reader(io.StringIO(to_csv(evaluation))))
    assert rows == [["clip", "sync_c", "fps"], ["a<b", "2.0", "10.0"], ["c", "4.0", ""]]
    page = to_html(evaluation, "x & y")
    assert "x &amp; y" in page and "a &lt;problem&gt;" in page and page.count("<svg") == 2
    assert page.count("<circle") == 3 and "http" not in page.replace("http-equiv", "")


def test_tables_have_a_cell_for_every_heading():
    evaluation = Evaluation({"a": {"sync_c": 2.0}, "b": {"sync_c": 4.0}}, {"fid": 12.5}, [])
    rows = table(evaluation)
    assert {len(row) for row in rows} == {len(HEADER)} and [row[0] for row in rows] == ["Sync-C", "FID"]
    assert rows[0][2:] == ("3.000", "2.000 to 4.000", "3.000", "2")
    (row,) = paired_table({"sync_c": Difference(0.5, 0.1, 0.9, 3, 1, 0.625, 0.25, 4)})
    assert len(row) == len(PAIRED_HEADER) and row[2:] == ("+0.500", "+0.100 to +0.900", "3 : 1", "0.62", "0.25", "4")


def test_a_strip_has_a_dot_for_every_clip_from_end_to_end():
    drawn = strip([1.0, 3.0, 2.0], width=100)
    places = [float(part.split('"')[0]) for part in drawn.split('cx="')[1:]]
    assert len(places) == 3 and places[0] < places[2] < places[1] and places[2] * 2 == places[0] + places[1]
    assert strip([5.0]).count("<circle") == 1
