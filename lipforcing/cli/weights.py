"""``lipforcing inspect``, ``convert`` and ``merge``: what is in files of weights, and making new ones."""

from __future__ import annotations

import argparse

from ..errors import InputError
from .common import ByteBar, add


def add_commands(commands) -> None:
    """Add the commands to the collection."""
    inspect = add(
        commands, "inspect", command_inspect, "Say what a file of weights is, without running anything in it."
    )
    inspect.add_argument("file", help="weights: a file or a folder")
    inspect.add_argument("--json", action="store_true", help="machine-readable")

    convert = add(
        commands, "convert", command_convert, "Convert weights to safetensors, tensor by tensor in bounded memory."
    )
    convert.add_argument("source", help="weights: a file or a folder")
    convert.add_argument("out", help="the new .safetensors file")
    convert.add_argument("--dtype", choices=("bf16", "fp16", "fp32", "fp8_e4m3fn"), help="default: as they are")
    convert.add_argument(
        "--schedule", type=float, nargs="+", default=(), metavar="SIGMA", help="noise levels to note for a student"
    )

    merge = add(
        commands,
        "merge",
        command_merge,
        "Merge the teacher's adapter (and a student's training delta) into plain Wan 2.1.",
    )
    merge.add_argument("base", help="plain Wan 2.1: a file or a folder of shards")
    merge.add_argument("adapters_and_out", nargs="+", metavar="ADAPTER ... OUT", help="adapters, then the new file")
    merge.add_argument("--dtype", choices=("bf16", "fp16", "fp32", "fp8_e4m3fn"), default="bf16", help="default: bf16")
    merge.add_argument("--student", action="store_true", help="the last adapter is a student's training delta")


def command_inspect(arguments: argparse.Namespace) -> None:
    """Say what is in a file of weights."""
    from ..checkpoints import inspect

    inspection = inspect(arguments.file)
    print(inspection.to_json() if arguments.json else inspection.to_text())


def command_convert(arguments: argparse.Namespace) -> None:
    """Convert weights to safetensors."""
    from ..checkpoints import convert

    with ByteBar() as bar:
        print(convert(arguments.source, arguments.out, arguments.dtype, bar, arguments.schedule))


def command_merge(arguments: argparse.Namespace) -> None:
    """Merge adapters into the base model."""
    from ..checkpoints import Kind, merge

    kind = Kind.STUDENT if arguments.student else Kind.TEACHER
    *adapters, out = arguments.adapters_and_out
    if not adapters:
        raise InputError("merge takes a base model, at least one adapter and the name of the result.")
    with ByteBar() as bar:
        print(merge(arguments.base, adapters, out, arguments.dtype, bar, kind=kind))
