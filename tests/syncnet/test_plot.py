"""The picture of a report: what it shows lies where it should."""

import re
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from lipforcing.syncnet import SyncReport, Verdict
from lipforcing.syncnet.plot import ORANGE, headline, plot_report, ticks
from lipforcing.syncnet.report import report

LOUD = torch.arange(200 * 640).remainder(7).sub(3).mul(1000).to(torch.int16)


def example(offset: int, windows: int = 60) -> SyncReport:
    rows = torch.full((windows, 31), 9.0)
    rows[:, 15 - offset] = 4.0
    return report(rows, LOUD)


def unclear() -> SyncReport:
    rows = torch.full((60, 31), 9.0)
    rows[:, 15] = 8.5
    return report(rows, LOUD, clear=7.0)


def column_of_the_mark(picture: torch.Tensor) -> float:
    """Mean x of the pixels in the colour of the offset's mark."""
    marked = (picture.int() - torch.tensor(ORANGE)).abs().amax(-1) < 20
    assert marked.any()
    return marked.nonzero()[:, 1].float().mean().item()


@pytest.mark.parametrize("width, height", [(1000, 420), (480, 240)])
def test_the_offset_found_is_marked_in_its_place(width, height):
    columns = [column_of_the_mark(plot_report(example(offset), width, height)) for offset in (-10, 0, 10)]
    assert columns[1] - columns[0] == pytest.approx(columns[2] - columns[1], abs=1) and columns[0] < columns[1]


def test_no_offset_is_marked_where_sync_is_unclear():
    picture = plot_report(unclear(), 1000, 420)
    assert not ((picture.int() - torch.tensor(ORANGE)).abs().amax(-1) < 20)[:, :450].any()


def test_picture():
    picture = plot_report(example(2), 640, 300, "clip.mp4")
    assert picture.shape == (300, 640, 3) and picture.dtype == torch.uint8
    assert picture[0].min() == 255  # a margin
    assert picture.float().mean() > 200
    assert not torch.equal(picture, plot_report(example(2), 640, 300))


def test_the_verdict_stands_where_figures_would():
    assert headline(example(2)).split() == ["Sync-C", "5.00", "Sync-D", "4.00", "offset", "+2", "frames"]
    assert headline(example(15)) == "no figures: offset at the edge of the search range"
    assert headline(SyncReport.without_figures(Verdict.NO_FACE), "a.mp4") == "a.mp4   no figures: no face"
    assert re.fullmatch(r"Sync-C 0\.\d\d   Sync-D \d+\.\d\d   no clear sync", headline(unclear()))


@pytest.mark.parametrize("windows", [1, 9, 16, 500])
def test_reports_of_any_length_are_drawn(windows):
    plot_report(example(0, windows), 400, 200)
    plot_report(SyncReport.without_figures(Verdict.TOO_SHORT), 400, 200)


@pytest.mark.parametrize("low, high", [(0, 1), (-0.03, 0.04), (3.2, 12.9), (0, 3600), (-1e-3, 1e-3)])
def test_ticks_are_round_few_and_inside(low, high):
    values = ticks(low, high, 5)
    assert 2 <= len(values) <= 6 and low - 1e-9 <= values[0] and values[-1] <= high + 1e-9
    steps = {round((b - a) / (high - low), 6) for a, b in pairwise(values)}
    assert len(steps) == 1


def test_needs_no_matplotlib():
    code = "import sys; import lipforcing.syncnet.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
