"""An evaluation as text, CSV and HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence

from .compare import Difference
from .metrics import BY_KEY, METRICS
from .run import Evaluation
from .statistics import Summary, summarise

HEADER = ("metric", "better", "mean", "95 % interval", "median", "n")
PAIRED_HEADER = ("metric", "better", "difference", "95 % interval", "higher : lower", "sign p", "Wilcoxon p", "n")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #282c34; margin: 2rem auto; max-width: 84rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .7rem; text-align: right }
th { border-bottom: 2px solid #ccc; font-weight: 600 } td { border-bottom: 1px solid #e6e6e6; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
td.about { text-align: left; color: #666; font-size: 13px; white-space: normal }
svg { display: block }
"""


def table(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Rows of ``HEADER``: statistics over clips, then the values of whole sets."""
    rows = [_row(key, summary) for key, summary in evaluation.summaries.items()]
    for key, value in evaluation.whole.items():
        rows.append((BY_KEY[key].title, BY_KEY[key].better, f"{value:.3f}", "", "", str(len(evaluation.clips))))
    return rows


def _row(key: str, summary: Summary) -> tuple[str, ...]:
    interval = f"{summary.low:.3f} to {summary.high:.3f}"
    numbers = (f"{summary.mean:.3f}", interval, f"{summary.median:.3f}", str(summary.n))
    return (BY_KEY[key].title, BY_KEY[key].better, *numbers)


def paired_table(differences: dict[str, Difference]) -> list[tuple[str, ...]]:
    """Rows of ``PAIRED_HEADER``."""
    return [
        (
            BY_KEY[key].title,
            BY_KEY[key].better,
            f"{one.mean:+.3f}",
            f"{one.low:+.3f} to {one.high:+.3f}",
            f"{one.wins} : {one.losses}",
            f"{one.sign_p:.2g}",
            f"{one.wilcoxon_p:.2g}",
            str(one.n),
        )
        for key, one in differences.items()
    ]


def to_text(evaluation: Evaluation, differences: dict[str, Difference] | None = None) -> str:
    """For the terminal."""
    parts = [_columns(HEADER, table(evaluation))]
    if differences is not None:
        parts.append(
            "difference to the other system, clip by clip:\n" + _columns(PAIRED_HEADER, paired_table(differences))
        )
    parts += _notes(evaluation)
    return "\n\n".join(parts)


def to_csv(evaluation: Evaluation) -> str:
    """A line per clip, a column per metric."""
    keys = list(evaluation.summaries)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["clip", *keys])
    for stem, values in evaluation.clips.items():
        writer.writerow([stem, *(values.get(key, "") for key in keys)])
    return text.getvalue()


def to_html(evaluation: Evaluation, title: str, differences: dict[str, Difference] | None = None) -> str:
    """A page without anything outside it: tables, a strip of all clips per metric, and what was left out."""
    strips = {key: strip([v[key] for v in evaluation.clips.values() if key in v]) for key in evaluation.summaries}
    rows = []
    for metric, row in zip([*evaluation.summaries, *evaluation.whole], table(evaluation)):
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        about = html.escape(BY_KEY[metric].about)
        rows.append(f'<tr>{cells}<td>{strips.get(metric, "")}</td><td class="about">{about}</td></tr>')
    parts = [f"<h1>{html.escape(title)}</h1>", _html_table((*HEADER, "clips (bar: mean and interval)", ""), rows)]
    if differences is not None:
        lines = [
            "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in paired_table(differences)
        ]
        parts += ["<h2>Difference to the other system, clip by clip</h2>", _html_table(PAIRED_HEADER, lines)]
    parts += [f"<p>{html.escape(note)}</p>".replace("\n", "<br>") for note in _notes(evaluation)]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style>\n<body>\n{body}\n</body></html>\n"
    )


def strip(values: Sequence[float], width: int = 240, height: int = 34) -> str:
    """Values on a line as SVG: a dot per clip, a bar for the mean's interval, the ends of the range in figures."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return round(8 + (width - 16) * (value - low) / span, 1)

    summary = summarise(values)
    dots = "".join(f'<circle cx="{x(v)}" cy="10" r="3" fill="#1f6eb6" fill-opacity=".35"/>' for v in values)
    bar = f'<path d="M{x(summary.low)} 10H{x(summary.high)}M{x(summary.mean)} 3v14" stroke="#d6761c" stroke-width="2"/>'
    ends = "".join(
        f'<text x="{at}" y="{height - 3}" font-size="10" fill="#787e88" text-anchor="{side}">{value:.3g}</text>'
        for at, side, value in ((2, "start", low), (width - 2, "end", high))
    )
    return f'<svg width="{width}" height="{height}" role="img">{dots}{bar}{ends}</svg>'


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    lines = []
    for row in (header, *rows):
        lines.append(row[0].ljust(widths[0]) + "".join(f"  {c.rjust(w)}" for c, w in zip(row[1:], widths[1:])))
    return "\n".join(lines)


def _notes(evaluation: Evaluation) -> list[str]:
    """What was left out, and why."""
    notes = []
    if evaluation.not_measured:
        titles = {metric.key: metric.title for metric in METRICS}
        lines = [f"  {titles[key]}: {reason}" for key, reason in evaluation.not_measured.items()]
        notes.append("not measured:\n" + "\n".join(lines))
    if evaluation.problems:
        notes.append("problems:\n" + "\n".join(f"  {problem}" for problem in evaluation.problems))
    return notes


def _html_table(header: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    return f"<table><tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"
