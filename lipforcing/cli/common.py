"""What several commands share: adding a command, progress bars, options and their checks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from math import isfinite

import torch
from tqdm import tqdm

from ..errors import InputError


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


def face_choice(text: str) -> str | tuple[float, ...]:
    """``auto``, ``full`` or a box x0,y0,x1,y1 in pixels."""
    if text in ("auto", "full"):
        return text
    try:
        box = tuple(float(value) for value in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or box[2] <= box[0] or box[3] <= box[1]:
        raise InputError(f"--face {text!r} is no face: give auto, full, or a box x0,y0,x1,y1 with x0 < x1 and y0 < y1.")
    return box


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
