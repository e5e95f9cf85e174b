"""Panels of the figure; the whole of it is drawn in test_run."""

from __future__ import annotations

import pytest

from lipforcing.analysis import plot
from lipforcing.analysis.probes import GUIDED, PLAIN


def row(clip: str, step: int, second: float, sync: float, error: float) -> dict:
    guidance = {"probe": "two-step", "first": PLAIN, "second": second}
    return {"clip": clip, **guidance, "step": step, "sync_c": sync, "mouth_error": error}


def test_means_over_clips_are_drawn():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    rows = [row(clip, 30, scale, 4 * scale + i, scale) for scale in (PLAIN, GUIDED) for i, clip in enumerate("ab")]
    figure, (plane, bands) = pyplot.subplots(1, 2)
    plot.plane(plane, rows, "two-step", "title")
    assert [[line.get_xdata()[0], line.get_ydata()[0]] for line in plane.lines] == [[1, 4.5], [4.5, 18.5]]
    plot.bands(bands, rows, "two-step", "sync_c", "title")
    assert [line.get_ydata()[0] for line in bands.lines] == [4.5, 18.5]
    assert plot.name((PLAIN, GUIDED)) == "s = 1, 4.5"
    pyplot.close(figure)
