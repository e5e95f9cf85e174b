"""Draws a sync report with Pillow alone: distance over the offset, confidence over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ..timeline import FPS
from .report import MAX_SHIFT, SyncReport, Verdict

OVERSAMPLING = 2  # everything is drawn larger and averaged down, which smooths lines
PAPER, INK, GRID, FAINT = (255, 255, 255), (40, 44, 52), (225, 228, 233), (120, 126, 136)
BLUE, ORANGE, PALE = (31, 110, 182), (214, 118, 28), (120, 168, 212)

OFFSETS = list(range(-MAX_SHIFT, MAX_SHIFT + 1))


def plot_report(report: SyncReport, width: int = 1000, height: int = 420, title: str = "") -> torch.Tensor:
    """Picture of a report.

    Left, the mean distance over the offset, as the field defines it (zero-padded) and over the overlap alone, with the
    offset found marked; right, the confidence over time, framewise and as a mean over every second. Above them the
    figures, or the verdict where the figures say nothing.

    Args:
        report: what to draw; parts it does not have are left out.
        width, height: of the picture in pixels, at least 320 x 200 to be legible.
        title: stands before the figures, for example the name of the file.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    canvas = Image.new("RGB", (width * OVERSAMPLING, height * OVERSAMPLING), PAPER)
    draw = ImageDraw.Draw(canvas)
    size = OVERSAMPLING * max(9, min(15, height // 28))
    font, bold = ImageFont.load_default(size), ImageFont.load_default(round(1.2 * size))
    head = _fit(draw, headline(report, title), bold, canvas.width - 2 * size)
    draw.text((size, 0.7 * size), head, INK, bold)
    top, bottom = round(4.2 * size), canvas.height - round(3.4 * size)
    middle = round(0.45 * canvas.width)
    left = _Axes(draw, font, (4 * size, top, middle - size, bottom))
    right = _Axes(draw, font, (middle + round(4.5 * size), top, canvas.width - round(1.5 * size), bottom))
    _draw_distances(left, report)
    _draw_confidence(right, report)
    small = canvas.resize((width, height), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small).copy())


def headline(report: SyncReport, title: str = "") -> str:
    """The report in one line."""
    parts = [title] if title else []
    if report.confidence is None:
        return "   ".join([*parts, f"no figures: {report.verdict.value}"])
    parts += [f"Sync-C {report.confidence:.2f}", f"Sync-D {report.distance:.2f}"]
    parts.append(f"offset {signed(report.offset)} frames" if report.verdict is None else report.verdict.value)
    return "   ".join(parts)


def signed(offset: int) -> str:
    """An offset as one writes it: +3, 0, -2."""
    return f"{offset:+d}" if offset else "0"


class _Axes:
    """A chart of one panel: ranges first, then frame and curves.

    Args:
        draw, font: what to draw and write with.
        area: left, top, right, bottom of the plotting area in pixels of the canvas.
    """

    def __init__(
        self, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, area: tuple[int, int, int, int]
    ) -> None:
        self.draw, self.font, self.area = draw, font, area
        self.x_range, self.y_range = (0.0, 1.0), (0.0, 1.0)

    def frame(
        self, title: str, x_label: str, x_range: tuple[float, float], y_range: tuple[float, float], step: float | None
    ) -> None:
        """Grid, ticks and texts; ``step`` between the ticks of x, None for round numbers."""
        self.x_range, self.y_range = x_range, y_range
        x0, y0, x1, y1 = self.area
        size = self.font.size
        for value in ticks(*y_range, max(2, (y1 - y0) // (3 * size))):
            _, y = self._at(0, value)
            self.draw.line([(x0, y), (x1, y)], GRID, OVERSAMPLING)
            self.draw.text((x0 - 0.4 * size, y), f"{value:g}", FAINT, self.font, anchor="rm")
        marks = ticks(*x_range, max(2, (x1 - x0) // (5 * size))) if step is None else _multiples(*x_range, step)
        for value in marks:
            x, _ = self._at(value, 0)
            self.draw.line([(x, y0), (x, y1)], GRID, OVERSAMPLING)
            self.draw.text((x, y1 + 0.3 * size), f"{value:g}", FAINT, self.font, anchor="ma")
        self.draw.rectangle(self.area, outline=FAINT, width=OVERSAMPLING)
        self.draw.text((x0, y0 - 0.5 * size), _fit(self.draw, title, self.font, x1 - x0), INK, self.font, anchor="ls")
        self.draw.text(((x0 + x1) / 2, y1 + 1.6 * size), x_label, FAINT, self.font, anchor="ma")

    def curve(self, xs: Sequence[float], ys: Sequence[float], colour: tuple[int, int, int], width: float) -> None:
        """A line through points in data coordinates."""
        points = [self._at(x, y) for x, y in zip(xs, ys)]
        if len(points) > 1:
            self.draw.line(points, colour, round(width * OVERSAMPLING), joint="curve")

    def dot(self, x: float, y: float, colour: tuple[int, int, int], radius: float) -> None:
        """A disc."""
        self.draw.circle(self._at(x, y), radius * OVERSAMPLING, colour)

    def note(self, row: int, text: str, colour: tuple[int, int, int]) -> None:
        """A legend's line, in the upper right."""
        _, y0, x1, _ = self.area
        size = self.font.size
        self.draw.text((x1 - 0.5 * size, y0 + (0.3 + 1.3 * row) * size), text, colour, self.font, anchor="ra")

    def message(self, text: str) -> None:
        """A text instead of a curve."""
        x0, y0, x1, y1 = self.area
        self.draw.text(
            ((x0 + x1) / 2, (y0 + y1) / 2), _fit(self.draw, text, self.font, x1 - x0), FAINT, self.font, "mm"
        )

    def _at(self, x: float, y: float) -> tuple[float, float]:
        x0, y0, x1, y1 = self.area
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return x0 + across * (x1 - x0), y1 - min(1.0, max(0.0, up)) * (y1 - y0)


def _draw_distances(axes: _Axes, report: SyncReport) -> None:
    shown = [
        (one.mean_distances.flip(0).tolist(), colour, name)
        for one, colour, name in ((report.overlap, PALE, "overlap only"), (report.padded, BLUE, "zero-padded"))
        if one is not None
    ]
    values = [value for distances, _, _ in shown for value in distances]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = max(0.1 * (high - low), 0.05)
    span = (low - room, high + 2.5 * room)
    axes.frame("embedding distance", "audio-video offset in frames of 40 ms", (-MAX_SHIFT, MAX_SHIFT), span, 5)
    if report.padded is None:
        axes.message("nothing was compared")
        return
    for distances, colour, _ in shown:
        axes.curve(OFFSETS, distances, colour, 2)
    if report.verdict is not Verdict.UNCLEAR:
        axes.dot(report.padded.offset, report.padded.distance, ORANGE, 4)
    for row, (_, colour, name) in enumerate(reversed(shown)):
        axes.note(row, name, colour)


def _draw_confidence(axes: _Axes, report: SyncReport) -> None:
    values = [0.0, *report.curve.tolist(), *report.per_second[:, 0].tolist()]
    room = max(0.1 * (max(values) - min(values)), 0.05)
    seconds = max(1.0, (report.windows + 5) / FPS)
    span = (min(values) - room, max(values) + 2.5 * room)
    axes.frame("confidence at this offset", "seconds", (0.0, seconds), span, None)
    if report.windows == 0:
        axes.message("nothing was compared")
        return
    axes.curve((0.0, seconds), (0.0, 0.0), FAINT, 1)
    axes.curve(report.seconds.tolist(), report.curve.tolist(), PALE, 1.5)
    for second, value in enumerate(report.per_second[:, 0].tolist()):
        end = min(second + 1.0, report.windows / FPS) + 0.1
        axes.curve((second + 0.1, end), (value, value), BLUE, 3)
    axes.note(0, "mean of each second", BLUE)
    axes.note(1, "framewise", PALE)


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` + 1 round numbers (1, 2, 5, 10, ...) between ``low`` and ``high``, low < high."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return _multiples(low, high, step)


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def _fit(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """``text``, cut at its end where it is wider than ``width`` pixels."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "...", font) > width:
        text = text[:-1]
    return text + "..."
