"""Pictures for which ``tools/record_mediapipe.py`` records what MediaPipe finds: NumPy and PyAV only, and in integers,
so that every machine sees the same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np

SAMPLES = Path(__file__).parents[2] / "lipforcing" / "tiny" / "samples"
RECORDINGS = ("hallo3_1_input", "hdtf_1_input", "talkvid_1_input", "talkvid_2_input", "ls_demo1", "ls_demo3")
THIN = {"short": 97, "full": 97, "mesh": 7}  # of raw outputs every so many values, primes, so that all kinds occur
THIN_POINTS = 4  # of the points of a real face


def noise() -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 [192, 192, 3]); ``RandomState`` is the generator whose numbers NumPy never changes."""
    for seed in (1, 2):
        yield f"noise{seed}", np.random.RandomState(seed).randint(0, 256, (192, 192, 3), dtype=np.uint8)


def drawn() -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 [H, W, 3] RGB) of frames of the drawn samples."""
    for who in ("ada", "ben"):
        for number, picture in frames(SAMPLES / f"{who}.mp4", 50, 2):
            yield f"{who}{number}", picture


def recorded(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The same of 60 frames of real recordings, ten of each."""
    for name in RECORDINGS:
        for number, picture in frames(folder / f"{name}.mp4", 8, 10):
            yield f"{name}{number}", picture


def frames(path: Path, step: int, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """(number, uint8 [H, W, 3] RGB) of every so many frames of a video."""
    with av.open(str(path)) as container:
        for number, frame in islice(enumerate(container.decode(video=0)), 0, step * count, step):
            yield number, _rgb(frame)


def _rgb(frame: av.VideoFrame) -> np.ndarray:
    """BT.601, studio range, nearest chroma, whatever the file says: any fixed rule will do."""
    height, width = frame.height, frame.width
    planes = frame.to_ndarray(format="yuv420p").ravel()
    luma = planes[: height * width].reshape(height, width).astype(np.int32)
    chroma = planes[height * width :].reshape(2, height // 2, width // 2).astype(np.int32) - 128
    u, v = chroma.repeat(2, 1).repeat(2, 2)
    grey = 298 * (luma - 16) + 128
    channels = [grey + 409 * v, grey - 100 * u - 208 * v, grey + 516 * u]
    return (np.stack(channels, -1) >> 8).clip(0, 255).astype(np.uint8)


def middle(picture: np.ndarray, side: int) -> np.ndarray:
    """A square of ``side`` pixels: every k-th pixel of the largest part in the middle that holds it."""
    height, width = picture.shape[:2]
    step = min(height, width) // side
    return square(picture, (width - step * side) // 2, (height - step * side) // 2, step, side)


def around(picture: np.ndarray, box: np.ndarray, side: int) -> tuple[int, int, int]:
    """Where (x, y, step) a :func:`square` shows a face with the given box as the mesh likes it, as far as it fits."""
    height, width = picture.shape[:2]
    step = min(max(1, round(1.5 * float((box[2:] - box[:2]).max()) / side)), min(height, width) // side)
    x, y = ((box[:2] + box[2:]) / 2 - step * side / 2).round().astype(int)
    return min(max(x, 0), width - step * side), min(max(y, 0), height - step * side), step


def square(picture: np.ndarray, x: int, y: int, step: int, side: int) -> np.ndarray:
    """Every ``step``-th pixel from (x, y) on: [side, side, 3]."""
    return picture[y : y + step * side : step, x : x + step * side : step]
