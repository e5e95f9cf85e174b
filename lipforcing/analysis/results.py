"""What an analysis leaves: tables, a figure and a suggestion."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .plot import plot
from .run import Row, as_table, table, write_rows, write_summary
from .suggest import Suggestion, suggest

FIGURE, SUMMARY = "analysis.png", "summary.csv"


def write_results(rows: Sequence[Row], out: Path, title: str) -> Suggestion:
    """Write ``figures.csv``, ``summary.csv``, ``suggestion.json`` and ``analysis.png`` into ``out``, which is there.

    Args:
        rows: of ``run.analyse``.
        out: folder.
        title: of the figure.
    """
    landings, sync = table(rows, "two-step", "sync_c")
    found = suggest(landings, sync, table(rows, "two-step", "mouth_error")[1])
    write_rows(out / "figures.csv", rows)
    write_summary(out / SUMMARY, rows)
    (out / "suggestion.json").write_text(json.dumps(as_table(found), indent=1))
    plot(rows, found, out / FIGURE, title)
    return found


def in_words(found: Suggestion) -> str:
    """A suggestion as a sentence."""
    window = "nowhere: it gains no sync"
    if found.window:
        window = "steps {} to {}".format(*found.window)
        window += f" (95 % of resampled clips: {found.window_low} to {found.window_high})"
    return f"guide {window}; land the second step at {found.landing} (95 %: {found.landing_interval})"
