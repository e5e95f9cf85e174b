"""All that a training run is at one moment, and how it survives being killed at any other."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from .parallel import barrier, rank, ranks

TRAINED = StateDictOptions(ignore_frozen_params=True, strict=False)
"""What does not change is not stored: with adapters that is nearly everything."""


@dataclass
class State:
    """Everything the next step depends on.

    Attributes:
        step: optimizer steps done.
        models: networks by name; sharded ones are stored by their shards.
        optimizers: of each network.
        averages: of each network's trained parameters, by their names.
        generator: all that is random is drawn from it, which rows of the data come next included: its state is the
            position in the data as well.
    """

    step: int
    models: dict[str, nn.Module]
    optimizers: dict[str, list[Optimizer]]
    averages: dict[str, dict[str, Tensor]]
    generator: torch.Generator

    def state_dict(self) -> dict[str, Any]:
        """As torch.distributed.checkpoint takes it."""
        return {
            "step": self.step,
            "random": self.generator.get_state(),
            "averages": self.averages,
            "models": {name: get_model_state_dict(model, options=TRAINED) for name, model in self.models.items()},
            "optimizers": {
                name: get_optimizer_state_dict(model, self.optimizers[name], options=TRAINED)
                for name, model in self.models.items()
            },
        }

    def save(self, folder: Path) -> None:
        """Write ``step_<number>`` into ``folder``, whole or not at all; only then is the one before removed."""
        final = folder / f"step_{self.step:07d}"
        partial = folder / f".{final.name}.part"
        if rank() == 0:
            shutil.rmtree(partial, ignore_errors=True)  # of a run that was cut off
            partial.mkdir(parents=True)
        barrier()
        dcp.save(self.state_dict(), checkpoint_id=partial, no_dist=ranks() == 1)
        if rank() == 0:
            partial.rename(final)
            for older in checkpoints(folder)[:-1]:
                shutil.rmtree(older)
        barrier()

    def resume(self, folder: Path) -> None:
        """Become what the latest state in ``folder`` was; without one nothing changes."""
        found = checkpoints(folder)
        if not found:
            return
        saved = self.state_dict()
        dcp.load(saved, checkpoint_id=found[-1], no_dist=ranks() == 1)
        self.step = saved["step"]
        self.generator.set_state(saved["random"])
        for name, model in self.models.items():
            set_model_state_dict(model, saved["models"][name], options=TRAINED)
            set_optimizer_state_dict(model, self.optimizers[name], saved["optimizers"][name], options=TRAINED)


def checkpoints(folder: Path) -> list[Path]:
    """Complete states in a folder, the latest last."""
    return sorted(folder.glob("step_*"))
