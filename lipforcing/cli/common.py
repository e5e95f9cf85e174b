"""What several commands share: adding a command, progress bars, options and their checks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from math import isfinite

import torch
from tqdm import tqdm

from ..errors import InputError
from ..faces.selection import FaceChoice
from .cancel import check

# Pixels of a side below which a box is taken for a mistake.
SMALLEST_BOX = 8


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
    """Progress callback of a run: frames done, speed and remaining time; ends it if it was asked to end."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.done = 0

    def __call__(self, done: int, total: int, _picture: torch.Tensor) -> None:
        self.done = done
        if self.bar is None:
            self.bar = tqdm(total=total, unit="frame", desc="lip sync")
        self.bar.update(done - self.bar.n)
        check()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def each(callbacks: Sequence[Callable]) -> Callable:
    """One progress callback for several."""

    def call(*arguments) -> None:
        for callback in callbacks:
            callback(*arguments)

    return call


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
        check()


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
    box = len(numbers) == 4 and numbers[2] > numbers[0] and numbers[3] > numbers[1]
    if (len(numbers) == 2 or box) and all(map(isfinite, numbers)):
        return numbers
    raise InputError(
        f"--face {text!r} is no face: give auto, center, full, a number counted from the left, a point x,y, or a box "
        "x0,y0,x1,y1 with x0 < x1 and y0 < y1."
    )


def check_face(face: FaceChoice, width: int, height: int) -> None:
    """Refuse a place where a picture of this size shows no face: a point outside, a box mostly outside or tiny."""
    if not isinstance(face, tuple):
        return
    x0, y0, x1, y1 = face if len(face) == 4 else (*face, *face)
    inside = max(0.0, min(x1, width) - max(x0, 0.0)) * max(0.0, min(y1, height) - max(y0, 0.0))
    wrong = inside < (x1 - x0) * (y1 - y0) / 2 or min(x1 - x0, y1 - y0) < SMALLEST_BOX
    if len(face) == 2:
        wrong = not (0 <= x0 < width and 0 <= y0 < height)
    if wrong:
        raise InputError(
            f"--face {','.join(f'{edge:g}' for edge in face)} is no face in the picture, which is {width}x{height}; "
            f"give a point, or a box that is at least {SMALLEST_BOX} pixels wide and high, inside of it."
        )


def seed_choice(seed: int) -> int:
    """A seed as the nodes take it too."""
    if not 0 <= seed < 2**64:
        raise InputError(f"--seed {seed} is out of range; give a number from 0 to {2**64 - 1}.")
    return seed


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
