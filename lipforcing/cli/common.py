"""What several commands share: adding a command, progress bars, options and their checks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from math import isfinite

import torch
from tqdm import tqdm

from ..errors import InputError

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
        help="auto: detect and track; full: the footage is a face crop; or the face's box x0,y0,x1,y1 in pixels",
    )
    command.add_argument(
        "--detector",
        default=os.environ.get("LIPFORCING_DETECTOR", "models/yunet_final.pth"),
        help="YuNet weights for --face auto (default: $LIPFORCING_DETECTOR, else models/yunet_final.pth)",
    )


class Bar:
    """Progress callback of a run: frames done, speed and remaining time."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.done = 0

    def __call__(self, done: int, total: int, _picture: torch.Tensor) -> None:
        self.done = done
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


def face_choice(text: str) -> str | tuple[float, ...]:
    """``auto``, ``full`` or a box x0,y0,x1,y1 in pixels."""
    if text in ("auto", "full"):
        return text
    try:
        box = tuple(float(value) for value in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not all(map(isfinite, box)) or box[2] <= box[0] or box[3] <= box[1]:
        raise InputError(f"--face {text!r} is no face: give auto, full, or a box x0,y0,x1,y1 with x0 < x1 and y0 < y1.")
    return box


def check_face(face: str | tuple[float, ...], width: int, height: int) -> None:
    """Refuse a box in which a picture of this size shows no face: mostly outside of it, or a few pixels."""
    if isinstance(face, str):
        return
    x0, y0, x1, y1 = face
    inside = max(0.0, min(x1, width) - max(x0, 0.0)) * max(0.0, min(y1, height) - max(y0, 0.0))
    if inside < (x1 - x0) * (y1 - y0) / 2 or min(x1 - x0, y1 - y0) < SMALLEST_BOX:
        raise InputError(
            f"--face {','.join(f'{edge:g}' for edge in face)} is no face in the picture, which is {width}x{height}; "
            f"give a box that lies inside of it and is at least {SMALLEST_BOX} pixels wide and high."
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
