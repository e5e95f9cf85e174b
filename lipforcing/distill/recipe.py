"""How something is trained: plain, typed values, which name a run by their hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch

from ..errors import InputError
from .parallel import Policy

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Recipe:
    """What every training needs; recipes add fields of their own.

    Attributes:
        name: names logs, plots and weights.
        iterations: optimizer steps.
        learning_rate: peak, of Muon; biases and norms get a third of it from AdamW.
        seed: of weights, data order and noise.
        batch: samples per optimizer step, over all ranks and accumulation rounds.
        accumulation: rounds of forward and backward per step; ``batch`` is a multiple of it times the ranks.
        optimizer: ``muon`` for weights of two or more axes and AdamW for the rest, or ``adamw`` for all.
        betas, weight_decay: of AdamW; weight decay is left out for what Muon does not take.
        schedule: ``cosine`` to zero, or ``constant``; both after the warm-up.
        warm_up: steps of linear warm-up.
        clip_norm: largest norm of the gradient of one network.
        ema_decay: of the average of the weights, which is the result.
        checkpoint_every: steps.
        validate_every: steps between validations on clips that are never learnt from, and one at the end; 0 is none.
        precision: of activations, ``float32`` or ``bfloat16``; weights and their gradients stay float32.
        checkpointing: compute activations of transformer blocks again in the backward pass.
        compile: compile transformer blocks.
    """

    name: str
    iterations: int
    learning_rate: float
    seed: int
    batch: int
    accumulation: int = 1
    optimizer: str = "muon"
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warm_up: int = 50
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    checkpoint_every: int = 250
    validate_every: int = 0
    precision: str = "float32"
    checkpointing: bool = False
    compile: bool = False

    @property
    def policy(self) -> Policy:
        """How its transformers are run."""
        return Policy(self.checkpointing, self.compile, dtype=PRECISIONS[self.precision])


R = TypeVar("R", bound=Recipe)

CHOICES = {
    "optimizer": ("muon", "adamw"),
    "schedule": ("cosine", "constant"),
    "precision": tuple(PRECISIONS),
    "start": ("principal", "codec"),
}


def changed(recipe: R, settings: Sequence[str]) -> R:
    """The recipe with some fields set, each as ``field=value``.

    Raises:
        InputError: there is no such field, or its value is of another kind.
    """
    changes = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        now = getattr(recipe, name, None)
        names = [field.name for field in fields(recipe) if isinstance(getattr(recipe, field.name), (int, float, str))]
        if name not in names[1:]:  # the first is its own name
            raise InputError(f"{setting!r} sets nothing of {recipe.name}; give field=value of {', '.join(names[1:])}.")
        try:
            value = {"true": True, "false": False}[text] if isinstance(now, bool) else type(now)(text)
        except (KeyError, ValueError):
            raise InputError(f"{setting!r} is no value of {name}, which is {now!r}; give one like it.") from None
        if text not in CHOICES.get(name, (text,)):
            raise InputError(f"{setting!r} is no choice for {name}; give {' or '.join(CHOICES[name])}.")
        changes[name] = value
    return replace(recipe, **changes)
