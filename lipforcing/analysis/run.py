"""The analysis over clips: what it will take, clip after clip, and what was found of all."""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..distill.cache import fingerprint, weights_hash
from ..evaluation.statistics import bootstrap_interval
from ..models import WanTransformer
from ..sampling.guidance import Teacher
from ..sampling.noise import NoiseKey
from ..sampling.schedules import teacher_grid
from .clips import Clip
from .measures import Instruments, Measures
from .probes import GUIDED, PLAIN, Estimate, fresh_noise, nudged, trajectory, two_steps

STEPS = 50
EVERY_FIFTH = (*range(0, STEPS, 5), STEPS - 1)
EVERY = tuple(range(STEPS))
SEED = 42
FIGURES = ("mouth_error", "sync_c", "sync_d", "opening", "amplitude", "landmarks", "mouth", "rest")
KEY = ("probe", "first", "second", "step", "t")
TIMED = 3  # calls and measurements that the cost is estimated from

Row = dict[str, str | int | float]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cost:
    """Seconds that an analysis takes, from ``TIMED`` calls of the network and as many measurements."""

    calls: int
    measurements: int
    seconds: float


def instruments(network: WanTransformer) -> Instruments:
    """The instruments, where the network is."""
    return Instruments().to(next(network.parameters()).device)


def estimates_per_clip(steps: Sequence[int]) -> int:
    """Measured estimates: two trajectories, the factorial, fresh noise, and the spatial probe with its control."""
    return (2 + 4 + 2 + 2) * len(steps)


def cost(network: WanTransformer, clip: Clip, clips: int, steps: Sequence[int]) -> Cost:
    """What ``clips`` clips like this one take."""
    calls = 3 * STEPS + 2 + (4 + 2 + 1) * len(steps)
    measurements = estimates_per_clip(steps)
    with torch.inference_mode():
        prepared = Measures(clip, instruments(network))
        denoise = Teacher(network, prepared.inputs(network.config)).positive
        began = time.monotonic()
        for _ in range(TIMED):
            denoise(prepared.truth, 0.5).amax().item()  # waits for the device
        called = time.monotonic()
        for _ in range(TIMED):
            prepared(prepared.decode(prepared.truth))
        measured = time.monotonic()
    seconds = clips * (calls * (called - began) + measurements * (measured - called)) / TIMED
    return Cost(clips * calls, clips * measurements, seconds)


@torch.inference_mode()
def examine(
    network: WanTransformer, clip: Clip, number: int, steps: Sequence[int], tools: Instruments
) -> Iterator[Row]:
    """All figures of one clip; its noise depends on its number alone."""
    measures = Measures(clip, tools)
    teacher = Teacher(network, measures.inputs(network.config))
    truth, grid = measures.truth, teacher_grid(STEPS).tolist()
    noise, nudge = (NoiseKey(SEED).draw(number, step, truth.shape).to(truth) for step in (0, 1))

    def row(probe: str, first: float, second: float, step: int, figures: dict[str, float]) -> Row:
        key = dict(zip(KEY, (probe, first, second, step, round(grid[step], 4))))
        return {"clip": clip.name, **key, **{name: round(value, 5) for name, value in figures.items()}}

    def measured(estimate: Estimate, pictures: Tensor | None = None) -> Row:
        shown = measures.decode(estimate.latents) if pictures is None else pictures
        return row(estimate.probe, estimate.first, estimate.second, estimate.step, measures(shown))

    for scale in (PLAIN, GUIDED):
        yield from map(measured, trajectory(teacher.guided, noise, grid, scale, steps))
    yield from map(measured, two_steps(teacher.positive, teacher.negative, noise, grid, steps))
    for step in steps:
        estimates = [*fresh_noise(teacher.positive, teacher.negative, truth, noise, grid, (step,))]
        plain, guided = pictures = [measures.decode(estimate.latents) for estimate in estimates]
        yield from map(measured, estimates, pictures)
        control = measures.decode(nudged(teacher.positive, truth, noise, nudge, grid[step]))
        yield row("spatial", PLAIN, GUIDED, step, measures.moved(guided, plain))
        yield row("control", PLAIN, PLAIN, step, measures.moved(control, plain))


def analyse(
    network: WanTransformer,
    clips: Sequence[Callable[[], Clip]],
    out: Path,
    steps: Sequence[int] = EVERY_FIFTH,
    progress: Progress | None = None,
) -> list[Row]:
    """Examine clips; each finished one is kept in ``out``, and a run that was cut off goes on with the next.

    Args:
        network: a teacher of the tiny family's sizes, in evaluation mode, on the device to work on.
        clips: make them, one after the other.
        out: ``clips-<hash of teacher, instruments and steps>`` is made in it.
        steps: of the grid that are measured.
        progress: told how many of how many estimates are done.
    """
    tools = instruments(network)
    what = {"steps": steps, "teacher": weights_hash(network), "seed": SEED}
    what |= {name: weights_hash(tool) for name, tool in vars(tools).items()}
    folder = out / f"clips-{fingerprint(what)}"
    folder.mkdir(parents=True, exist_ok=True)
    each, found = estimates_per_clip(steps), []
    for number, make in enumerate(clips):
        path = folder / f"{number:03d}.csv"
        if not path.exists():
            rows = []
            for row in examine(network, make(), number, steps, tools):
                rows.append(row)
                if progress:
                    progress(number * each + len(rows), len(clips) * each)
            partial = path.with_suffix(".part")
            write_rows(partial, rows)
            partial.replace(path)
        found += read_rows(path)
    return found


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """As CSV; a figure that a probe does not have is empty."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["clip", *KEY, *FIGURES])
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[Row]:
    """What ``write_rows`` wrote."""
    kinds = {"clip": str, "probe": str, "step": int}
    with open(path, newline="") as file:
        return [{k: kinds.get(k, float)(v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]


def table(rows: Sequence[Row], probe: str, figure: str) -> tuple[list[int], dict[tuple[float, float], np.ndarray]]:
    """Measured steps, and by guidance [clips, steps] of a figure."""
    chosen = [row for row in rows if row["probe"] == probe]
    steps, names = (sorted({row[key] for row in chosen}) for key in ("step", "clip"))
    found = {
        guidance: np.full((len(names), len(steps)), np.nan) for guidance in {(r["first"], r["second"]) for r in chosen}
    }
    for row in chosen:
        found[row["first"], row["second"]][names.index(row["clip"]), steps.index(row["step"])] = row[figure]
    return steps, found


def summary(rows: Sequence[Row]) -> list[Row]:
    """Mean over clips of every figure, and its 95 % interval (bootstrap over clips)."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in KEY)].append(row)
    found = []
    for key, group in groups.items():
        line: Row = {"clips": len(group), **dict(zip(KEY, key))}
        for figure in (name for name in FIGURES if name in group[0]):
            values = np.array([row[figure] for row in group])
            low, high = bootstrap_interval(values)
            line |= {
                figure: round(float(values.mean()), 4),
                f"{figure}_low": round(low, 4),
                f"{figure}_high": round(high, 4),
            }
        found.append(line)
    return found


def write_summary(path: Path, rows: Sequence[Row]) -> None:
    """``summary`` as CSV."""
    columns = [column for name in FIGURES for column in (name, f"{name}_low", f"{name}_high")]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [*KEY, "clips", *columns])
        writer.writeheader()
        writer.writerows(summary(rows))


def as_table(suggestion) -> dict:
    """A suggestion for a file, with the noise levels beside the steps."""
    grid = teacher_grid(STEPS)
    found = asdict(suggestion)
    levels = {"landing_t": round(grid[suggestion.landing].item(), 4)}
    if suggestion.window:
        levels["window_t"] = [round(grid[step].item(), 4) for step in reversed(suggestion.window)]
    return found | levels
