"""The training loop that all recipes share: schedule, averaging, progress, log, checkpoints, plot."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .muon import Muon

EMA_DECAY = 0.998
WARM_UP = 50
CLIP_NORM = 1.0
CHECKPOINT_EVERY = 250


@dataclass(frozen=True)
class Recipe:
    """How one part is trained.

    Attributes:
        name: of the part; names log, plot and checkpoint files.
        iterations: optimizer steps.
        learning_rate: peak, of Muon (a third of it for biases and norms, by AdamW); linear warm-up over 50 steps, then
            cosine to zero.
        seed: of weights, data order and noise.
    """

    name: str
    iterations: int
    learning_rate: float
    seed: int


def train(module: nn.Module, step: Callable[[int], dict[str, Tensor]], recipe: Recipe, out: Path) -> nn.Module:
    """Minimise ``step(i)["loss"]`` over the trainable parameters of ``module``; returns it with averaged weights.

    Writes ``<name>.csv`` (every term of the loss), ``<name>.png`` (the curves) and ``<name>.ckpt`` to ``out``; a run
    that finds its checkpoint there goes on from it. The result is the exponential moving average of the weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizers = [
        Muon([p for p in parameters if p.ndim >= 2], lr=recipe.learning_rate),
        torch.optim.AdamW([p for p in parameters if p.ndim < 2], lr=recipe.learning_rate / 3, betas=(0.9, 0.99)),
    ]
    peaks = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    average = [p.detach().clone() for p in parameters]
    checkpoint = out / f"{recipe.name}.ckpt"
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        start, average = state["step"], state["average"]
        module.load_state_dict(state["module"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
    log = out / f"{recipe.name}.csv"
    began = time.monotonic()
    with (
        open(log, "a" if start else "w", newline="") as file,
        tqdm(total=recipe.iterations, initial=start, desc=recipe.name, mininterval=5) as bar,
    ):
        writer = csv.writer(file)
        for i in range(start, recipe.iterations):
            warm = min(1.0, (i + 1) / WARM_UP)
            cosine = 0.5 * (1 + math.cos(math.pi * i / recipe.iterations))
            groups = [group for optimizer in optimizers for group in optimizer.param_groups]
            for group, peak in zip(groups, peaks):
                group["lr"] = peak * warm * cosine
            terms = step(i)
            module.zero_grad(set_to_none=True)
            terms["loss"].backward()
            nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            for optimizer in optimizers:
                optimizer.step()
            decay = min(EMA_DECAY, (i + 1) / (i + 10))
            torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)
            values = {name: value.item() for name, value in terms.items()}
            if i == 0:
                writer.writerow(["step", "seconds", *values])
            writer.writerow([i, round(time.monotonic() - began, 1), *(f"{v:.6g}" for v in values.values())])
            bar.update()
            bar.set_postfix({name: f"{v:.4f}" for name, v in values.items()}, refresh=False)
            if (i + 1) % CHECKPOINT_EVERY == 0:
                state = {"step": i + 1, "module": module.state_dict(), "average": average}
                torch.save({**state, "optimizers": [o.state_dict() for o in optimizers]}, checkpoint)
                file.flush()
    with torch.no_grad():
        for parameter, mean in zip(parameters, average):
            parameter.copy_(mean)
    plot_log(log, out / f"{recipe.name}.png")
    checkpoint.unlink(missing_ok=True)
    return module


def plot_log(log: Path, path: Path) -> None:
    """Draw every column of a training log, smoothed, over the iterations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with open(log, newline="") as file:
        names, *rows = csv.reader(file)
    columns = torch.tensor([[float(value) for value in row] for row in rows], dtype=torch.float64).T
    figure, axis = pyplot.subplots(figsize=(7, 4))
    width = max(1, len(rows) // 60)
    for name, column in zip(names[2:], columns[2:]):
        smooth = column.unfold(0, width, width).mean(1)
        axis.plot(torch.arange(len(smooth)) * width, smooth, label=name)
    axis.set(xlabel="iteration", yscale="log", title=f"{log.stem} ({columns[1, -1] / 60:.0f} min)")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=90, bbox_inches="tight")
    pyplot.close(figure)
