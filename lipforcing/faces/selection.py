"""From what a user says about the face to a follower."""

from __future__ import annotations

from pathlib import Path

import torch

from .align import box_matrix
from .follow import DetectingFollower, FixedFollower, Follower
from .landmarks import LandmarkDetector
from .mesh_detector import MeshDetector
from .yunet import YuNetDetector

#: "auto": find the largest face and follow it; "center": the one nearest the middle of the picture; a number: counted
#: from the left; (x, y): the one that is there when a shot starts; "full": the footage is a face crop; or the face's
#: box (x0, y0, x1, y1) in pixels of the frame, for a face that stays where it is, drawn or painted, say.
FaceChoice = str | int | tuple[float, ...]


def detector_for(weights: str | Path | None, device: torch.device | str = "cpu") -> LandmarkDetector:
    """What finds faces: the package's own networks, or YuNet with the weights of a file.

    Raises:
        InputError: the file is missing or another model's.
    """
    return MeshDetector(device) if weights is None else YuNetDetector(weights, device=device)


def follower_for(face: FaceChoice, weights: str | Path | None = None, device: torch.device | str = "cpu") -> Follower:
    """A follower for one video.

    Args:
        face: see ``FaceChoice``.
        weights: see :func:`detector_for`, for faces that must be found.
        device: where the detector runs.

    Raises:
        InputError: the weight file is missing or another model's.
    """
    if face == "full":
        return FixedFollower()
    if isinstance(face, tuple) and len(face) == 4:
        return FixedFollower(box_matrix(*face))
    return DetectingFollower(detector_for(weights, device), ["largest" if face == "auto" else face])
