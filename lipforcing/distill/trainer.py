"""The one training loop: schedule, accumulation, averaging, checkpoints, log; on one process or under torchrun.

A run can be killed at any moment. The same call goes on from the last checkpoint, with the same data as if nothing had
happened; on one process the weights are equal bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Optimizer

from ..errors import InputError
from .log import Log, plot_log
from .muon import Muon
from .parallel import Network, place, rank, ranks
from .recipe import Recipe
from .state import State

Batch = Mapping[str, Tensor]
"""Random draws of one step: tensors [batch, ...], and scalars that all samples share."""


class Task(Protocol):
    """What is trained, on what, by which loss.

    Attributes:
        recipe: how.
        networks: what, by name.
    """

    recipe: Recipe
    networks: Mapping[str, Network]

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """The whole batch of a step, the same on every rank: of large data, rows to be looked up, and noise."""
        ...

    def losses(
        self, step: int, batch: Batch, models: Mapping[str, nn.Module]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Yield for each network that learns from this step its name and the terms to log, ``loss`` among them.

        ``batch`` is some rows of the whole one, on the models' device; terms are means over them. A loss is
        differentiated before the next one is asked for, so one that is a sum can come part by part, without keeping
        the activations of all: terms of the same network add up.
        """
        ...


class Validated(Task, Protocol):
    """A task that can show how far it is."""

    def validate(self, models: Mapping[str, nn.Module], folder: Path) -> Mapping[str, float]:
        """Figures of the networks on clips that are never learnt from, and sample videos in ``folder``.

        Every rank is asked, in evaluation; the first alone writes. Nothing is drawn from the training's generator.
        """
        ...


def train(
    task: Task, out: Path, folder: Path, device: torch.device | str = "cpu", mesh: DeviceMesh | None = None
) -> dict[str, nn.Module]:
    """Train; returns the networks with averaged weights.

    Args:
        task: see ``Task``.
        out: for the log and the plot, ``<name>.csv`` and ``<name>.png``.
        folder: for checkpoints, of this very run: it goes on from the last one in there.
        device: of the networks.
        mesh: ranks that share the work; None is one process.

    Raises:
        InputError: the loss is no number any more; the batch cannot be divided among the ranks; the recipe wants to be
            validated and the task cannot.
    """
    recipe = task.recipe
    if recipe.validate_every and not hasattr(task, "validate"):
        raise InputError(f"{recipe.name} has nothing to be validated on; leave validate_every at 0.")
    parts = recipe.accumulation * ranks()
    if recipe.batch % parts:
        raise InputError(
            f"{recipe.name}: a batch of {recipe.batch} cannot be divided by {parts}; give a multiple of ranks x rounds."
        )
    state = start(task, torch.device(device), mesh)
    folder.mkdir(parents=True, exist_ok=True)
    state.resume(folder)
    out.mkdir(parents=True, exist_ok=True)
    log = Log(out, recipe.name, state.step, recipe.iterations) if rank() == 0 else None
    try:
        while state.step < recipe.iterations:
            values = advance(task, state, torch.device(device))
            if log:
                log.step(state.step - 1, values)
            last = state.step == recipe.iterations
            if recipe.validate_every and (state.step % recipe.validate_every == 0 or last):
                figures = validate(task, state, out)
                if log:
                    log.validation(state.step, figures)
            if state.step % recipe.checkpoint_every == 0 or last:
                state.save(folder)
    finally:
        if log:
            log.close()
    exchange(state)
    if log:
        plot_log(log.path, out / f"{recipe.name}.png")
    return state.models


@torch.no_grad()
def exchange(state: State) -> None:
    """Let weights and their averages change places."""
    for name, model in state.models.items():
        for parameter, average in zip(trained(model).values(), state.averages[name].values()):
            own, mean = local(parameter.data), local(average)
            kept = own.clone()
            own.copy_(mean)
            mean.copy_(kept)


@torch.no_grad()
def validate(task: Validated, state: State, out: Path) -> Mapping[str, float]:
    """Figures of the averaged networks; the state is afterwards what it was."""
    folder = out / f"{task.recipe.name}_samples" / f"step_{state.step:07d}"
    exchange(state)
    modes = {name: model.training for name, model in state.models.items()}
    try:
        for model in state.models.values():
            model.eval()
        return task.validate(state.models, folder)
    finally:
        exchange(state)
        for name, model in state.models.items():
            model.train(modes[name])


def start(task: Task, device: torch.device, mesh: DeviceMesh | None) -> State:
    """The state before the first step."""
    recipe = task.recipe
    models = {name: place(network, device, mesh, recipe.policy) for name, network in task.networks.items()}
    return State(
        step=0,
        models=models,
        optimizers={name: optimizers_of(recipe, [*trained(model).values()]) for name, model in models.items()},
        averages={
            name: {key: p.detach().clone() for key, p in trained(model).items()} for name, model in models.items()
        },
        generator=torch.Generator().manual_seed(recipe.seed),
    )


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that learn, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def local(tensor: Tensor) -> Tensor:
    """This rank's shard of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def optimizers_of(recipe: Recipe, parameters: list[nn.Parameter]) -> list[Optimizer]:
    """Muon with AdamW for what has one axis, or AdamW for all."""
    if recipe.optimizer == "adamw":
        options = {"betas": recipe.betas, "weight_decay": recipe.weight_decay}
        return [AdamW(parameters, recipe.learning_rate, **options)]
    return [
        Muon([p for p in parameters if p.ndim >= 2], recipe.learning_rate),
        AdamW([p for p in parameters if p.ndim < 2], recipe.learning_rate / 3, betas=recipe.betas),
    ]


def learning_rate(recipe: Recipe, step: int) -> float:
    """Share of the peak at a step."""
    warm = min(1.0, (step + 1) / recipe.warm_up)
    return warm if recipe.schedule == "constant" else warm * 0.5 * (1 + math.cos(math.pi * step / recipe.iterations))


def advance(task: Task, state: State, device: torch.device) -> dict[str, float]:
    """One optimizer step of every network that has a loss; the terms to log, means over the whole batch."""
    recipe, step = task.recipe, state.step
    batch = task.draw(step, state.generator)
    terms: dict[str, Tensor] = {}
    learners: set[str] = set()
    for model in state.models.values():
        model.zero_grad(set_to_none=True)
    for part in range(recipe.accumulation):
        rows = share(recipe.batch, part, recipe.accumulation)
        piece = {name: (value[rows] if value.ndim else value).to(device) for name, value in batch.items()}
        for name, found in forwards(task.losses(step, piece, state.models), recipe, state, device):
            model = state.models[name]
            if isinstance(model, FSDPModule):
                model.set_requires_gradient_sync(part == recipe.accumulation - 1)
            (found["loss"] / recipe.accumulation).backward()
            learners.add(name)
            for term, value in found.items():
                label = term if len(state.models) == 1 else f"{name} {term}"
                terms[label] = terms.get(label, 0) + value.detach() / recipe.accumulation
    for name in sorted(learners):
        update(recipe, state, name)
    state.step += 1
    values = torch.stack([value.float().reshape(()) for value in terms.values()])
    if ranks() > 1:
        dist.all_reduce(values)
    return dict(zip(terms, (values / ranks()).tolist()))


def forwards(losses: Iterator, recipe: Recipe, state: State, device: torch.device) -> Iterator:
    """The losses one by one, each forward in the recipe's precision, unless FSDP sees to that."""
    dtype = recipe.policy.dtype
    cast = dtype is not None and not any(isinstance(model, FSDPModule) for model in state.models.values())
    while True:
        with torch.autocast(device.type, dtype or torch.bfloat16, enabled=cast):
            found = next(losses, None)
        if found is None:
            return
        yield found


def share(batch: int, part: int, parts: int) -> slice:
    """Rows of accumulation round ``part`` that are this rank's."""
    size = batch // parts // ranks()
    first = part * batch // parts + rank() * size
    return slice(first, first + size)


def update(recipe: Recipe, state: State, name: str) -> None:
    """Clip the gradient of one network, step its optimizers, and let its average follow."""
    parameters = trained(state.models[name])
    for p in parameters.values():
        if ranks() > 1 and p.grad is not None and not isinstance(p, DTensor):  # FSDP has averaged over ranks already
            dist.all_reduce(p.grad)
            p.grad /= ranks()
    nn.utils.clip_grad_norm_(parameters.values(), recipe.clip_norm)
    for optimizer, peak in zip(state.optimizers[name], (recipe.learning_rate, recipe.learning_rate / 3)):
        for group in optimizer.param_groups:
            group["lr"] = peak * learning_rate(recipe, state.step)
        optimizer.step()
    decay = min(recipe.ema_decay, (state.step + 1) / (state.step + 10))
    averages = [local(average) for average in state.averages[name].values()]
    torch._foreach_lerp_(averages, [local(p.detach()) for p in parameters.values()], 1 - decay)
