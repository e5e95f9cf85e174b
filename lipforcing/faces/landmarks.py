"""Faces as a detector reports them, and the three anchor points that alignment needs of any landmark layout.

Pixel convention of the whole room: the centre of the top-left pixel is (0, 0), x runs right and y down, so an image of
width W covers x from -0.5 to W - 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from ..media import Picture
from .align import TEMPLATE, similarity
from .warp import invert, transform


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face, in pixel coordinates of the image it was found in.

    Attributes:
        box: float [4], left, top, right, bottom.
        score: the detector's confidence, 0 to 1.
        points: float [P, 2], (x, y) of each landmark.
        layout: which landmarks these are, a key of :data:`ANCHORS`.
        yaw: degrees by which the head is turned to the side, 0 where nobody knows.
        texture: float [P, 3], RGB in [0, 1] of the picture at the points, None where nobody looked.
    """

    box: torch.Tensor
    score: float
    points: torch.Tensor
    layout: str
    yaw: float = 0.0
    texture: torch.Tensor | None = None


class LandmarkDetector(Protocol):
    """Finds the faces of a picture."""

    def __call__(self, picture: Picture, known: Sequence[Face] = (), search: bool = True) -> list[Face]:
        """Faces, best first; none where there is none.

        Args:
            picture: where to look.
            known: what it found in the picture before, in the same shot; a detector may go on from there.
            search: whether to look for others than the known ones, too.
        """
        ...


# Brow and nose anchors in the eye frame of YuNet's points: origin midway between the eyes, x towards the right eye in
# the image, y downwards along the face, unit = distance of the eyes. Typical values over identities and poses, spread
# 0.06 to 0.10: they place a rough crop only (docs/model.md, Face crop).
YUNET_ANCHORS = ((-0.57, -0.30), (0.59, -0.29), (0.00, 0.49))


def _yunet_anchors(points: torch.Tensor) -> torch.Tensor:
    left_eye, right_eye = points[0], points[1]
    across = right_eye - left_eye
    down = torch.stack([-across[1], across[0]])
    coordinates = points.new_tensor(YUNET_ANCHORS)
    return (left_eye + right_eye) / 2 + coordinates @ torch.stack([across, down])


# Brows and nose of MediaPipe's face mesh, with or without the ten iris points.
MESH_GROUPS = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300), (195, 5, 4, 48, 278))


def _means(*groups: Iterable[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    indices = [list(group) for group in groups]
    return lambda points: torch.stack([points[group].mean(0) for group in indices])


#: Layout name -> rule giving left brow, right brow and nose [3, 2] from the points [P, 2] of that layout.
ANCHORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    # left eye, right eye, nose tip, left and right mouth corner, left meaning left in the image
    "yunet5": _yunet_anchors,
    # MediaPipe's FaceMesh v2, the one that ComfyUI carries
    "mediapipe478": _means(*MESH_GROUPS),
    # MediaPipe's mesh with attention (faces/face_mesh.py)
    "attention478": _means(*MESH_GROUPS),
    # the same on the drawn people that the tiny family was trained on
    "drawn478": _means(*MESH_GROUPS),
    # the anchors themselves
    "anchors": lambda points: points,
    # InsightFace 2d106det, the layout the released weights were prepared with
    "insightface106": _means((43, 48, 49, 51, 50), range(101, 106), (74, 77, 83, 86)),
}


#: Where these points lie in the crop that the weights were trained on, [3, 2], for layouts whose rule finds other
#: points than those that lie at ``align.TEMPLATE``. Fitted on published results (tools/fit_template.py), and on drawn
#: people, whose noses are low (tools/fit_drawn_template.py).
TEMPLATES = {
    "attention478": torch.tensor([[89.2, 100.5], [330.8, 100.5], [210.0, 218.4]]),
    "drawn478": torch.tensor([[90.2, 113.1], [329.8, 113.1], [210.0, 242.7]]),
}


def anchors(face: Face) -> torch.Tensor:
    """The points that alignment maps to ``align.TEMPLATE``.

    They are those of the layout's rule. Where the layout has a template of its own, they are the points at which the
    similarity that lays the rule's points over that template shows ``align.TEMPLATE``, so that whoever aligns or
    smooths anchors need not know where they come from.

    Returns:
        float [3, 2], pixel coordinates of the face's image: the brow that is on the left in the image (smaller x),
        the other brow, the nose.

    Raises:
        KeyError: no rule for ``face.layout`` in :data:`ANCHORS`.
    """
    points = ANCHORS[face.layout](face.points)
    brows = points[:2][points[:2, 0].argsort()]
    points = torch.cat([brows, points[2:]])
    if face.layout not in TEMPLATES:
        return points
    return transform(invert(similarity(points, TEMPLATES[face.layout])), TEMPLATE.to(points))
