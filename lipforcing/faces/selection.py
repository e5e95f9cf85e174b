"""From what a user says about the face to a follower."""

from __future__ import annotations

from pathlib import Path

import torch

from .align import box_matrix
from .follow import DetectingFollower, FixedFollower, Follower
from .yunet import YuNetDetector

#: "auto": find the largest face and follow it; "full": the footage is a face crop; or the face's box (x0, y0, x1, y1)
#: in pixels of the frame, for a face that stays where it is.
FaceChoice = str | tuple[float, float, float, float]


def follower_for(face: FaceChoice, detector: str | Path, device: torch.device | str = "cpu") -> Follower:
    """A follower for one video.

    Args:
        face: see ``FaceChoice``.
        detector: YuNet weight file, read for "auto" alone.
        device: where the detector runs.

    Raises:
        InputError: "auto" and the weight file is missing or another model's.
    """
    if face == "auto":
        return DetectingFollower(YuNetDetector(detector, device=device))
    return FixedFollower(None if face == "full" else box_matrix(*face))
