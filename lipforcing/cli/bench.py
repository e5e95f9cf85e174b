"""``lipforcing bench``."""

from __future__ import annotations

import argparse
import json

import torch

from ..errors import InputError
from ..models.config import PRESETS
from .common import add, add_device, device_choice

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def add_commands(commands) -> None:
    """Add the command to the collection."""
    bench = add(commands, "bench", command_bench, "Measure the speed of every stage on this machine, without a video.")
    bench.add_argument("--preset", choices=PRESETS, default="tiny", help="sizes of the models (default: tiny)")
    add_device(bench)
    bench.add_argument("--dtype", choices=DTYPES, default="fp32", help="of transformer and codecs (default: fp32)")
    bench.add_argument(
        "--random-weights",
        action="store_true",
        help="random weights of the preset's sizes, made on the device: speed does not depend on what they are",
    )
    bench.add_argument("--chunks", type=int, default=10, metavar="N", help="chunks of 12 frames to count (default: 10)")
    bench.add_argument("--json", action="store_true", help="print JSON instead of text")


def command_bench(arguments: argparse.Namespace) -> None:
    """Measure, and print."""
    from ..stream.bench import bench, random_family, report
    from ..tiny.family import tiny_family

    if arguments.chunks < 1:
        raise InputError(f"--chunks {arguments.chunks}: give at least 1.")
    device, dtype = device_choice(arguments.device), DTYPES[arguments.dtype]
    if arguments.random_weights:
        family = random_family(arguments.preset, device, dtype)
    elif arguments.preset == "tiny":
        family = tiny_family(device, dtype=dtype)
    else:
        raise InputError(
            f"The weights of {arguments.preset} do not come along; give --random-weights, which are as fast."
        )
    result = bench(family, arguments.chunks)
    about = {key: getattr(arguments, key) for key in ("preset", "device", "dtype", "random_weights", "chunks")}
    if arguments.json:
        print(json.dumps({**about, "torch": torch.__version__, **result.as_dict()}, indent=2))
    else:
        print(report(result, f"{arguments.preset}, {arguments.dtype}, {_name(device)}, torch {torch.__version__}"))


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device}, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
