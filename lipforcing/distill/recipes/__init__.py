"""Recipes of the tiny family, from scratch, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh

from ...tiny import family
from ..cache import fingerprint
from ..lora import merge
from ..parallel import barrier, rank
from ..recipe import Recipe, changed
from ..trainer import train
from . import codec, denoiser, meter, syncnet
from .workshop import Workshop

RECIPES: dict[str, tuple[Recipe, type]] = {
    "codec": (codec.RECIPE, codec.CodecTask),
    "meter": (meter.RECIPE, meter.MeterTask),
    "syncnet": (syncnet.RECIPE, syncnet.SyncNetTask),
    "syncnet_logmel": (syncnet.LOGMEL, syncnet.SyncNetTask),
    "teacher": (denoiser.TEACHER, denoiser.TeacherTask),
    "student": (denoiser.STUDENT, denoiser.StudentTask),
    "codec_decoder": (codec.DECODER, codec.CodecTask),
    "teacher_varied": (denoiser.TEACHER_VARIED, denoiser.TeacherTask),
    "student_varied": (denoiser.STUDENT_VARIED, denoiser.StudentTask),
    "teacher_further": (denoiser.TEACHER_FURTHER, denoiser.TeacherTask),
    "student_further": (denoiser.STUDENT_FURTHER, denoiser.StudentTask),
    "teacher_long": (denoiser.TEACHER_LONG, denoiser.TeacherTask),
}


def train_part(
    name: str, out: Path, settings: Sequence[str] = (), device: str = "cpu", mesh: DeviceMesh | None = None
) -> Path:
    """Train a part of the family; returns the file of its weights, in ``out/weights``.

    A run that was cut off goes on; one that is done writes its weights again. Parts that were trained in ``out`` before
    take the place of those that come with the package.

    Args:
        name: of the recipe; two that make the same part write it under the part's name.
        out: folder of logs, plots, cached data, checkpoints and weights.
        settings: changes of the recipe, each ``field=value``.
        device, mesh: see ``train``.

    Raises:
        InputError: a setting is wrong; see ``train``.
    """
    recipe, task_of = RECIPES[name]
    recipe = changed(recipe, settings)
    workshop = Workshop(out, device)
    task = task_of(recipe, workshop)
    what = {"recipe": asdict(recipe), "made_of": task.made_of}
    folder = workshop.checkpoints / f"{name}-{fingerprint(what)}"
    (module,) = train(task, out, folder, torch.device(device), mesh).values()
    weights = get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if rank() == 0:
        plain = task.networks[next(iter(task.networks))].build()
        plain.load_state_dict(weights)
        merge(plain)
        family.save(recipe.name, plain, asdict(recipe), workshop.weights)
    barrier()
    return family.weights_path(recipe.name, workshop.weights)
