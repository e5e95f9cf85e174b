"""LMD: how far the mouth's landmarks lie from the reference's (dlib's 68 points)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from .batches import Batch

MOUTH = slice(48, 68)  # of dlib's 68 points

#: Landmarks of a mouth, [20, 2] in pixels, in a picture uint8 [H, W, 3] whose face's square (x, y, s) is known.
MouthPoints = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class MouthMeasure:
    """Mean over frames and points of the distance between mouths that are both laid with their centroid on one place.

    Args:
        points: finds the landmarks.
    """

    def __init__(self, points: MouthPoints) -> None:
        self._points = points
        self._pixels: list[float] = []
        self._percents: list[float] = []

    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        for ours, theirs, (own, reference) in zip(batch.result_frames, batch.reference_frames, batch.squares):
            distance = mouth_distance(self._points(ours, own), self._points(theirs, reference))
            self._pixels.append(distance)
            self._percents.append(100 * distance / (2 * reference[2].item()))

    def values(self) -> dict[str, float]:
        """Figures of the clip."""
        return {"lmd": float(np.mean(self._pixels)), "lmd_face": float(np.mean(self._percents))}


def mouth_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean distance of points [P, 2] and [P, 2], each less their centroid."""
    shift = (first - first.mean(0)) - (second - second.mean(0))
    return shift.norm(dim=1).mean().item()


def dlib_mouth(path: Path) -> MouthPoints:
    """Mouth landmarks by dlib's 68-point predictor inside the square that the face's place says.

    Args:
        path: ``shape_predictor_68_face_landmarks.dat``.

    Raises:
        InputError: dlib is not installed, or the file is missing or another model's.
    """
    try:
        import dlib
    except ImportError as error:
        raise InputError(
            "--landmarks needs dlib; install it: pip install dlib-bin (or dlib, which compiles)."
        ) from error
    if not path.is_file():
        raise InputError(f"Landmark model not found at {path}; give dlib's shape_predictor_68_face_landmarks.dat.")
    try:
        predictor = dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} is no landmark model; give dlib's shape_predictor_68_face_landmarks.dat.") from error

    def points(picture: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
        x, y, s = square.tolist()
        box = dlib.rectangle(round(x - s), round(y - s), round(x + s), round(y + s))
        found = predictor(np.ascontiguousarray(picture.numpy()), box).parts()
        return torch.tensor([[point.x, point.y] for point in found[MOUTH]], dtype=torch.float32)

    return points
