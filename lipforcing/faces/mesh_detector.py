"""Finding and following faces with the networks of the package: detectors where to look, the mesh for what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..media import ImagePicture, Picture
from .align import BOX_CENTRE, BOX_SIZE, similarity
from .blazeface import Detection, FaceDetector
from .choice import centre, overlap
from .face_mesh import MIN_PRESENCE, FaceMesh, roi_from_detection, roi_from_landmarks, windows
from .landmarks import Face, anchors
from .warp import invert, transform

LAYOUT, DRAWN_LAYOUT = "attention478", "drawn478"
PASSES = 2  # of the mesh over what a detector found, whose boxes may be twice too large; the second decides
SAME_FACE = 0.4  # overlap (IoU) of boxes from which on they are of one face
SIDE = 288  # pixels of a region of interest that show all that the mesh's 192 can
CHEEKS = (234, 454)  # beside the ears, left and right in the picture


class MeshDetector:
    """A :class:`~.landmarks.LandmarkDetector` for which nothing has to be downloaded.

    A face is what a detector finds *and* the mesh recognises (``face_mesh.MIN_PRESENCE``). A face that is known from
    the picture before is followed by the mesh alone, whatever the detectors' scores.

    Args:
        device: where the networks run, by default torch's default device.
        layout: of the points that are found, ``LAYOUT`` or ``DRAWN_LAYOUT``: which crop they are aligned to.
    """

    def __init__(self, device: torch.device | str | None = None, layout: str = LAYOUT) -> None:
        self._layout = layout
        self._detector = FaceDetector(device)
        self._mesh = FaceMesh(device, brows_only=True)

    def __call__(self, picture: Picture, known: Sequence[Face] = (), search: bool = True) -> list[Face]:
        """The faces of a picture, the most certain first, on the CPU in its coordinates.

        Args:
            picture: of any size; a small thumbnail of it is searched.
            known: faces of the picture before.
            search: look for others than the known ones, too.
        """
        found = [self._mesh_at(picture, roi_from_landmarks(face.points)) for face in known]
        faces = [face for face in found if face is not None]
        if search or not faces:
            new = [one for one in self._detections(picture) if not any(_inside(one, face) for face in faces)]
            found = [self._mesh_at(picture, roi_from_detection(one.box, one.keypoints), PASSES) for one in new]
            faces += [face for face in found if face is not None]
        return _distinct(faces)

    def _detections(self, picture: Picture) -> list[Detection]:
        shrink = min(1.0, self._detector.input_size / max(picture.height, picture.width))
        size = (max(1, round(picture.height * shrink)), max(1, round(picture.width * shrink)))
        (found,) = self._detector.detect(picture.thumbnail(*size)[None], (picture.height, picture.width))
        return found

    def _mesh_at(self, picture: Picture, roi: Tensor, passes: int = 1) -> Face | None:
        """The face in a region of interest [4], looked at once more where its points were, and so on."""
        small, scale = _reduced(picture, float(roi[2]))
        roi = torch.cat([_scaled(roi[None, :2], scale)[0], roi[2:3] * scale, roi[3:]])
        for _ in range(passes):
            origins, (height, width) = windows(roi[None], (small.height, small.width))
            x, y = origins[0].tolist()
            region = small.region(y, x, height, width)
            seen = self._mesh.landmarks(region[None], origins, roi[None])
            points, presence, texture = (row[0].cpu() for row in seen)
            roi = roi_from_landmarks(points)
        points = torch.cat([_scaled(points[:, :2], 1 / scale), points[:, 2:] / scale], -1)
        return _face(points, float(presence), texture, self._layout) if presence >= MIN_PRESENCE else None


def _inside(found: Detection, face: Face) -> bool:
    """Whether a detection is of a face that is known."""
    middle = centre(found.box)
    return bool((middle > face.box[:2]).all() and (middle < face.box[2:]).all())


def _reduced(picture: Picture, side: float) -> tuple[Picture, float]:
    """The picture, or where a region of interest with this side is much larger than needed a smaller one; its scale."""
    scale = SIDE / side
    if scale > 0.75:
        return picture, 1.0
    width = max(1, round(picture.width * scale))
    scale = width / picture.width
    return ImagePicture(picture.thumbnail(max(1, round(picture.height * scale)), width)), scale


def _scaled(points: Tensor, scale: float) -> Tensor:
    """Points [P, 2] in a picture resized by ``scale``; edges stay edges, integers are pixel centres."""
    return (points + 0.5) * scale - 0.5


def _face(points: Tensor, presence: float, texture: Tensor, layout: str) -> Face:
    """Of points [468, 3]. Its box is that of a face of usual proportions, which is what boxes mean elsewhere."""
    known = layout != DRAWN_LAYOUT  # the mesh's lips do not follow drawn ones, so their colours say nothing
    face = Face(torch.zeros(4), presence, points[:, :2], layout, yaw(points), texture if known else None)
    to_image = invert(similarity(anchors(face))[None])
    centre = transform(to_image, torch.tensor([BOX_CENTRE]))[0, 0]
    half = torch.tensor(BOX_SIZE) / 2 * to_image[0, :, 0].norm()
    return replace(face, box=torch.cat([centre - half, centre + half]))


def yaw(points: Tensor) -> float:
    """How far a head is turned to the side, in degrees from facing the camera, from its mesh [468, 3]; never negative.

    The angle of the line from cheek to cheek with the picture's plane. The mesh's depth is an estimate.
    """
    x, y, z = (points[CHEEKS[1]] - points[CHEEKS[0]]).tolist()
    return float(torch.rad2deg(torch.atan2(torch.tensor(abs(z)), torch.tensor((x * x + y * y) ** 0.5))))


def _distinct(faces: list[Face]) -> list[Face]:
    """Each face once, the most certain first; of two that overlap the one that comes first in ``faces``."""
    kept: list[Face] = []
    for face in faces:
        if all(overlap(face.box, other.box) < SAME_FACE for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.score)
