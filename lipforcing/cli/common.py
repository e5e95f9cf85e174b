"""What several commands share: adding a command, progress bars, options and their checks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from math import isfinite

import torch
from tqdm import tqdm

from ..errors import InputError
from ..faces.selection import FaceChoice


def add(commands, name: str, run: Callable[[argparse.Namespace], None], summary: str) -> argparse.ArgumentParser:
    """A new command of the collection ``commands`` that calls ``run`` with its parsed arguments."""
    command = commands.add_parser(name, help=summary, description=summary)
    command.set_defaults(run=run)
    return command


def add_device(command: argparse.ArgumentParser) -> None:
    """The option --device."""
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps (default: cpu)")


def add_face(command: argparse.ArgumentParser) -> None:
    """The options --face and --detector."""
    command.add_argument(
        "--face",
        default="auto",
        help="auto: find the largest face and follow it; center: the one nearest the middle; N: counted from the left, "
        "from 0; x,y: the one there when a shot starts; full: the footage is a face crop; or x0,y0,x1,y1: the box of a "
        "face that stays where it is, drawn or painted, say (default: auto)",
    )
    command.add_argument(
        "--detector",
        default=os.environ.get("LIPFORCING_DETECTOR"),
        metavar="FILE",
        help="find faces with YuNet and these weights (default: $LIPFORCING_DETECTOR, else the package's own)",
    )


class Bar:
    """Progress callback of a run: frames done, speed and remaining time."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None

    def __call__(self, done: int, total: int, _picture: torch.Tensor) -> None:
        if self.bar is None:
            self.bar = tqdm(total=total, unit="frame", desc="lip sync")
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


class ByteBar:
    """Progress callback of a conversion: bytes written and bytes in all."""

    def __enter__(self) -> ByteBar:
        self.bar = tqdm(unit="B", unit_scale=True, desc="writing")
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def __call__(self, done: int, total: int) -> None:
        self.bar.total = total
        self.bar.update(done - self.bar.n)


def face_choice(text: str) -> FaceChoice:
    """What --face says, see ``faces.selection.FaceChoice``."""
    if text in ("auto", "center", "full"):
        return text
    if text.isdecimal():
        return int(text)
    try:
        numbers = tuple(float(value) for value in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) == 2 or (len(numbers) == 4 and numbers[2] > numbers[0] and numbers[3] > numbers[1]):
        return numbers
    raise InputError(
        f"--face {text!r} is no face: give auto, center, full, a number counted from the left, a point x,y, or a box "
        "x0,y0,x1,y1 with x0 < x1 and y0 < y1."
    )


def window_choice(start: float, limit: float | None) -> tuple[float, float | None]:
    """Part of a clip in seconds: where it starts, and how long it is at most."""
    if not (start >= 0 and isfinite(start)):
        raise InputError(f"--start {start:g} is no time in the clip; give 0 or more seconds.")
    if limit is not None and not (limit > 0 and isfinite(limit)):
        raise InputError(f"--limit {limit:g} leaves nothing to do; give more than 0 seconds.")
    return start, limit


def device_choice(text: str) -> torch.device:
    """A device that exists here."""
    try:
        device = torch.device(text)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"--device {text!r} cannot be used here; give cpu, cuda, cuda:N or mps, as available."
        ) from error
    return device
