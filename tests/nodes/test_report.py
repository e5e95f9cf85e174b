"""The report as a node's output: JSON that says what was done."""

from __future__ import annotations

import importlib
import json
from fractions import Fraction
from pathlib import Path

import pytest

from lipforcing.evaluation.quality import Quality
from lipforcing.media import DurationPolicy
from lipforcing.pipeline import SyncOptions, SyncResult
from lipforcing.stream.meter import StageTimes
from lipforcing.tiny import family

from .stand_in import LOADED_AS, load_pack

FILES = {"weights": {"model": {"file": "s.pth", "bytes": 1, "sha256": "0"}}, "inputs": {}}


class Memory:
    peak = 1.5


@pytest.mark.parametrize("figures", [None, Quality(50, 0.1, 9, None, 0, 0.8, 0, 0.7, 0.3, 1.2, True, 100.0)])
def test_the_report_is_json(figures):
    load_pack()
    report = importlib.import_module(f"{LOADED_AS}.nodes.report")
    plan = DurationPolicy().plan(2.0, Fraction(25), 3.0, 75)
    stages = {"read": StageTimes((0.1,))}
    done = SyncResult(Path("o.mp4"), plan, 50, (), 2.0, 0, 0, (), 4.0, 0.5, stages)
    options = SyncOptions(seed=3, check=lambda: None)
    text = report.report_text(done, family.tiny_family(), options, Memory(), figures, FILES)
    said = json.loads(text)
    assert said["fps"] == 12.5 and said["peak_memory"] == 1_500_000_000 and said["done"]["changed_outside"] == 0
    assert said["manifest"]["options"]["seed"] == 3 and "check" not in said["manifest"]["options"]
    assert {kind: said["manifest"][kind] for kind in FILES} == FILES
    assert (said["quality"] is None) == (figures is None)
