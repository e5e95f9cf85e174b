"""From what a user says about the face to a follower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import InputError
from .align import box_matrix
from .follow import DetectingFollower, FixedFollower, Follower
from .landmarks import LandmarkDetector
from .mesh_detector import LAYOUT, MeshDetector
from .yunet import YuNetDetector

#: "auto": find the largest face and follow it; "center": the one nearest the middle of the picture; a number: counted
#: from the left; (x, y): the one that is there when a shot starts; "full": the footage is a face crop; or the face's
#: box (x0, y0, x1, y1) in pixels of the frame, for a face that stays where it is, drawn or painted, say.
FaceChoice = str | int | tuple[float, ...]


def detector_for(
    weights: str | Path | None, device: torch.device | str = "cpu", layout: str = LAYOUT
) -> LandmarkDetector:
    """What finds faces: the package's own networks (``layout``: see them), or YuNet with the weights of a file.

    Raises:
        InputError: the file is missing or another model's.
    """
    return MeshDetector(device, layout) if weights is None else YuNetDetector(weights, device=device)


def followers_for(
    faces: Sequence[FaceChoice],
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    layout: str = LAYOUT,
) -> Follower:
    """A follower for one video, of one face or several.

    Args:
        faces: whom to follow, see ``FaceChoice``. Of several, a box says which of the faces that are found is meant.
        weights: see :func:`detector_for`, for faces that must be found.
        device: where the detector runs.
        layout: see :func:`detector_for`.

    Raises:
        InputError: "full" beside others; the weight file is missing or another model's.
    """
    if len(faces) == 1:
        return follower_for(faces[0], weights, device, layout)
    if "full" in faces:
        raise InputError("A face crop shows one speaker; of several, say whom to follow: a number, point or box.")
    return _detecting(faces, weights, device, layout)


def follower_for(
    face: FaceChoice,
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    layout: str = LAYOUT,
) -> Follower:
    """A follower of one face, see :func:`followers_for`."""
    if face == "full":
        return FixedFollower()
    if isinstance(face, tuple) and len(face) == 4:
        return FixedFollower(box_matrix(*face))
    return _detecting([face], weights, device, layout)


def _detecting(
    faces: Sequence[FaceChoice], weights: str | Path | None, device: torch.device | str, layout: str
) -> Follower:
    choices = ["largest" if face == "auto" else face for face in faces]
    return DetectingFollower(detector_for(weights, device, layout), choices)
