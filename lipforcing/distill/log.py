"""What a training tells: a table, a plot, TensorBoard, a bar with the time that remains, and an early warning."""

from __future__ import annotations

import csv
import sys
import time
from collections import deque
from collections.abc import Mapping
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from statistics import median

import torch
from tqdm import tqdm

from ..errors import InputError

FAR_ABOVE = 5.0  # times the running median
MEDIAN_OF, TRUST_AFTER = 200, 50  # steps


class Log:
    """Log of one training: ``<name>.csv`` and, when it is done, ``<name>.png``; ``tensorboard/<name>`` where installed.

    Args:
        folder, name: where, and of what.
        start: step that comes first; rows of later steps, left by a run that was killed, are dropped.
        total: steps in all.
    """

    def __init__(self, folder: Path, name: str, start: int, total: int) -> None:
        self.path, self.name = folder / f"{name}.csv", name
        kept = rows(self.path)[: start + 1] if start else []
        self.before = float(kept[-1][1]) if len(kept) > 1 else 0.0
        self.file = open(self.path, "w", buffering=1, newline="")  # noqa: SIM115 - by lines; closed in close
        self.writer = csv.writer(self.file)
        self.writer.writerows(kept)
        self.header = bool(kept)
        self.bar = tqdm(total=total, initial=start, desc=name, mininterval=5)
        self.watch = Watch(name)
        self.board = _tensorboard(folder / "tensorboard" / name, start)
        self.validated = folder / f"{name}_validation.csv"
        if self.validated.exists():
            header, *earlier = rows(self.validated)
            keep(self.validated, [header, *(row for row in earlier if int(row[0]) <= start)] if start else [])
        self.began = time.monotonic()

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Log the terms of one step.

        Raises:
            InputError: one of them is no number any more.
        """
        if not self.header:
            self.writer.writerow(["step", "seconds", *values])
            self.header = True
        seconds = self.before + time.monotonic() - self.began
        self.writer.writerow([step, round(seconds, 1), *(f"{value:.6g}" for value in values.values())])
        for name, value in values.items():
            if self.board:
                self.board.add_scalar(name, value, step)
        self.bar.update()
        self.bar.set_postfix({name: f"{value:.4f}" for name, value in values.items()}, refresh=False)
        for sentence in self.watch(step, values):
            tqdm.write(sentence, file=sys.stderr)

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Log a validation after ``step`` steps, in ``<name>_validation.csv``."""
        before = rows(self.validated) if self.validated.exists() else [["step", *figures]]
        keep(self.validated, [*before, [str(step), *(f"{value:.6g}" for value in figures.values())]])
        for name, value in figures.items():
            if self.board:
                self.board.add_scalar(f"validation/{name}", value, step)
        tqdm.write(f"{self.name} {step}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()), file=sys.stderr)

    def close(self) -> None:
        """Put everything on disk."""
        self.file.close()
        self.bar.close()
        if self.board:
            self.board.close()


class Watch:
    """Notices early that a training diverges."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.recent: dict[str, deque[float]] = {}
        self.warned_at = -MEDIAN_OF

    def __call__(self, step: int, values: Mapping[str, float]) -> list[str]:
        """What is to be said of a step, at most one sentence in 200 steps.

        Raises:
            InputError: a loss is no number any more.
        """
        said = []
        for term in (name for name in values if "loss" in name):
            value = values[term]
            if not isfinite(value):
                raise InputError(
                    f"{self.name}: {term} is {value} at step {step}; lower the learning rate or warm up longer."
                )
            recent = self.recent.setdefault(term, deque(maxlen=MEDIAN_OF))
            usual = median(recent) if len(recent) >= TRUST_AFTER else None
            if usual is not None and value > FAR_ABOVE * usual and step >= self.warned_at + MEDIAN_OF:
                said.append(
                    f"{self.name}: {term} is {value:.3g} at step {step}, {value / usual:.0f} times its running median "
                    f"of {usual:.3g}: it may diverge; a lower learning rate or a longer warm-up helps."
                )
                self.warned_at = step
            recent.append(value)
        return said


def _tensorboard(folder: Path, start: int):
    """A writer of scalars, where TensorBoard is installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=start)


def rows(path: Path) -> list[list[str]]:
    """Complete rows of a log, the header first."""
    with open(path, newline="") as file:
        header, *found = csv.reader(file)
    return [header, *(row for row in found if len(row) == len(header))]


def keep(path: Path, table: list[list[str]]) -> None:
    """Write a log that consists of ``table``; without any there is none."""
    path.unlink(missing_ok=True)
    if table:
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows(table)


def plot_log(log: Path, path: Path) -> None:
    """Draw every column of a training log, smoothed, over the iterations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names, *found = rows(log)
    columns = torch.tensor([[float(value) for value in row] for row in found], dtype=torch.float64).T
    figure, axis = pyplot.subplots(figsize=(7, 4))
    width = max(1, len(found) // 60)
    for name, column in zip(names[2:], columns[2:]):
        smooth = column.unfold(0, width, width).mean(1)
        axis.plot(torch.arange(len(smooth)) * width, smooth, label=name)
    axis.set(xlabel="iteration", yscale="log", title=f"{log.stem} ({columns[1, -1] / 60:.0f} min)")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=90, bbox_inches="tight")
    pyplot.close(figure)
