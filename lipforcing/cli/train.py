"""``lipforcing train``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .common import add, add_device, device_choice

PARTS = ("codec", "meter", "syncnet", "syncnet_logmel", "teacher", "student")
OTHERS = ("codec_decoder", "teacher_varied", "student_varied", "teacher_further", "student_further", "teacher_long")


def add_commands(commands) -> None:
    """Add the command to the collection."""
    train = add(commands, "train", command_train, "Train parts of the tiny family from scratch (docs/training.md).")
    train.add_argument(
        "recipes",
        nargs="+",
        choices=(*PARTS, *OTHERS, "all"),
        metavar="RECIPE",
        help=", ".join((*PARTS, "all (of these)", *OTHERS)),
    )
    train.add_argument("--out", type=Path, default=Path("training"), help="logs, data, weights (default: training)")
    train.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="settings", help="change the recipe"
    )
    add_device(train)


def command_train(arguments: argparse.Namespace) -> None:
    """Train parts one after the other."""
    import torch

    from ..distill.parallel import processes
    from ..distill.recipes import train_part

    torch.set_float32_matmul_precision("high")  # TF32 where a GPU has it, as its convolutions do anyway
    names = PARTS if "all" in arguments.recipes else arguments.recipes
    try:
        with processes(device_choice(arguments.device)) as (device, mesh):
            for name in names:
                print(train_part(name, arguments.out, arguments.settings, device, mesh))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from the last checkpoint in {arguments.out}") from None
