"""The figures, in the layout of the paper's: sync over fidelity, and both over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..evaluation.statistics import bootstrap_interval
from .probes import GUIDED, PLAIN
from .run import Row, table
from .suggest import Suggestion

COLOURS = {
    (PLAIN, PLAIN): "tab:blue",
    (PLAIN, GUIDED): "tab:green",
    (GUIDED, PLAIN): "tab:orange",
    (GUIDED, GUIDED): "tab:red",
}


def require_matplotlib() -> None:
    """Raises InputError where it is not installed, before hours are spent on what cannot be drawn."""
    if find_spec("matplotlib") is None:
        raise InputError("The figure of an analysis needs matplotlib: pip install matplotlib.")


def plot(rows: Sequence[Row], suggestion: Suggestion, path: Path, title: str) -> None:
    """Draw six panels: trajectories and two steps as sync over error, then figures over steps with 95 % bands."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(15, 9))
    plane(axes[0, 0], rows, "trajectory", "(a) clean estimates along the trajectory")
    plane(axes[0, 1], rows, "two-step", "(b) two steps, over where the second lands")
    plane(axes[0, 2], rows, "fresh noise", "(c) single calls on the noised truth")
    bands(axes[1, 0], rows, "two-step", "sync_c", "(d) Sync-C of two steps")
    bands(axes[1, 1], rows, "two-step", "opening", "(e) correlation of mouth openings")
    spatial(axes[1, 2], rows)
    for axis in axes[1, :2]:
        axis.axvline(suggestion.landing, color="0.3", linestyle=":", label="suggested landing")
        if suggestion.window:
            axis.axvspan(*suggestion.window, color="0.9", zorder=0)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def name(guidance: tuple[float, float]) -> str:
    """Guidance of both steps in words."""
    first, second = guidance
    return f"s = {first:g}, {second:g}"


def plane(axis, rows: Sequence[Row], probe: str, title: str) -> None:
    """Means over clips of sync over the mouth's error; numbers are steps."""
    steps, sync = table(rows, probe, "sync_c")
    _, error = table(rows, probe, "mouth_error")
    for guidance in sorted(sync):
        x, y = error[guidance].mean(0), sync[guidance].mean(0)
        axis.plot(x, y, "o-", markersize=3, color=COLOURS[guidance], label=name(guidance))
        for i in range(0, len(steps), max(1, len(steps) // 5)):
            axis.annotate(str(steps[i]), (x[i], y[i]), fontsize=7)
    axis.set(xlabel="error of the mouth, % (less is better)", ylabel="Sync-C (more is better)", title=title)


def bands(axis, rows: Sequence[Row], probe: str, figure: str, title: str) -> None:
    """Means over clips with their 95 % intervals."""
    steps, found = table(rows, probe, figure)
    for guidance in sorted(found):
        draw(axis, steps, found[guidance], COLOURS[guidance], name(guidance))
    axis.set(xlabel="step of 50", title=title)


def spatial(axis, rows: Sequence[Row]) -> None:
    """How far guidance moves pixels inside the mouth mask and outside, beside the control."""
    for probe, style in (("spatial", "-"), ("control", "--")):
        for figure, colour in (("mouth", "tab:red"), ("rest", "tab:blue")):
            steps, found = table(rows, probe, figure)
            (values,) = found.values()
            draw(axis, steps, values, colour, f"{figure}, {'guidance' if probe == 'spatial' else 'noise'}", style)
    axis.set(xlabel="step of 50", ylabel="mean change, levels of 255", title="(f) where guidance acts", yscale="log")


def draw(axis, steps: Sequence[int], values: np.ndarray, colour: str, label: str, style: str = "-") -> None:
    """A mean over clips [clips, steps] and its band."""
    low, high = zip(*(bootstrap_interval(column) for column in values.T))
    axis.plot(steps, values.mean(0), style, color=colour, label=label)
    axis.fill_between(steps, low, high, color=colour, alpha=0.15)
