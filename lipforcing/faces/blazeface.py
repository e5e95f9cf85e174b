"""Face detection with MediaPipe's two detectors, whose weights come with the package.

The networks see a square of 128 or 192 pixels, so a thumbnail is all that detection needs of a picture. Positions are
the original's within half a pixel of a 1,000-pixel picture, which depends on sampling as it does (:func:`letterbox`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from .blazeface_networks import FullRange, ShortRange

WEIGHTS = Path(__file__).parent / "weights"
NMS_OVERLAP = 0.3  # boxes that overlap more (IoU) are one face
BATCH = 8  # pictures that go through a network at once
SUBPIXELS = 32  # steps per pixel in which the original's sampling resolves positions


@dataclass(frozen=True, eq=False)
class Detection:
    """One detected face, on the CPU, in pixels of its picture whose integers are pixel centres.

    Attributes:
        box: float [4], left, top, right, bottom, about brows to chin and cheek to cheek.
        keypoints: float [6, 2], (x, y) of left eye, right eye, nose tip, middle of the mouth, left ear, right ear,
            left meaning left in the picture.
        score: 0 to 1.
    """

    box: torch.Tensor
    keypoints: torch.Tensor
    score: float


def load_network(network: ShortRange | FullRange) -> ShortRange | FullRange:
    """Fill a detector with the weights of the package; for inference, without gradients, channels last."""
    name = "short" if isinstance(network, ShortRange) else "full"
    network.load_state_dict(load_file(WEIGHTS / f"blazeface_{name}.safetensors"))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


class FaceDetector:
    """Finds faces with both networks, for neither finds all; of a face that both find the better score counts.

    Longer side of the face as a share of that of the picture, on 60 frames of six recordings, shrunk and cut smaller
    step by step: the short-range network finds all faces from 0.14 to 0.85, the full-range one all from 0.06 to 0.33.
    The thresholds stand above what 78 faceless pictures score (0.64 and 0.57 at most).

    Attributes:
        input_size: a thumbnail whose longer side has this many pixels serves as well as the whole picture: boxes
            differ by up to 4 % of the face, points of the mesh found from them by 0.2 to 1.2 %, and those found once
            more from these points by 0.1 to 0.3 %.

    Args:
        device: where the networks run, by default torch's default device.
        min_scores: detections of the short-range and of the full-range network below are dropped.
    """

    input_size = FullRange.input_size

    def __init__(
        self, device: torch.device | str | None = None, *, min_scores: tuple[float, float] = (0.7, 0.6)
    ) -> None:
        device = device or torch.get_default_device()
        self.networks = [load_network(network()).to(device) for network in (ShortRange, FullRange)]
        self.min_scores = min_scores

    def detect(self, images: torch.Tensor, size: tuple[int, int] | None = None) -> list[list[Detection]]:
        """Faces of each picture, best score first.

        Args:
            images: [T, H, W, 3] RGB, uint8 or float in [0, 1], on any device.
            size: (height, width) of the pictures of which ``images`` are half-pixel-centred thumbnails; the detections
                are in pixels of these. By default ``images`` are the pictures.
        """
        by_network = [detect_faces(*pair, images) for pair in zip(self.networks, self.min_scores)]
        found = [_united(large + small) for large, small in zip(*by_network)]
        return found if size is None else [_enlarged(faces, images.shape[1:3], size) for faces in found]


@torch.inference_mode()
def detect_faces(network: ShortRange | FullRange, min_score: float, images: torch.Tensor) -> list[list[Detection]]:
    """MediaPipe's detection with one network: faces of each picture, best score first.

    Args:
        network: on the device where it is to run.
        min_score: detections below are dropped; MediaPipe's own choice is 0.5 (short range) and 0.6 (full range).
        images: [T, H, W, 3] RGB, uint8 or float in [0, 1].
    """
    device = network.anchors.device
    found = []
    for part in images.split(BATCH):
        offsets, logits = network(letterbox(part.to(device), network.input_size) / 127.5 - 1)
        points = _decode(offsets, network.anchors)
        scale = max(part.shape[1:3]) / network.input_size
        middle = points.new_tensor([part.shape[2], part.shape[1]]) / 2
        points = ((points - network.input_size / 2) * scale + middle).cpu()
        scores = logits.sigmoid().cpu()
        found += [_merged(rows[keep], values[keep]) for rows, values, keep in zip(points, scores, scores >= min_score)]
    return found


def letterbox(images: torch.Tensor, side: int) -> torch.Tensor:
    """Pictures fitted into a square between black borders, sampled as MediaPipe does on a CPU.

    Column i of the square shows column W / 2 + (i - side / 2) max(H, W) / side of the picture, to 1/32 pixel: bilinear
    without regard to how many pixels lie between, and without the half pixel that resizing usually accounts for. Whole
    grey levels, for the full-range network turns their fractions into 8 pixels of a 1,000-pixel picture.

    Args:
        images: [T, H, W, 3], uint8 or float in [0, 1].

    Returns:
        float [T, 3, side, side], 0 to 255.
    """
    height, width = images.shape[1:3]
    steps = (torch.arange(side, device=images.device) - side / 2) * (max(height, width) / side)
    square = _interpolated(_interpolated(images, steps + height / 2, 1), steps + width / 2, 2)
    return (square if images.dtype == torch.uint8 else square * 255).add(0.5).floor().permute(0, 3, 1, 2)


def _interpolated(images: torch.Tensor, positions: torch.Tensor, dim: int) -> torch.Tensor:
    """Linear samples along one dimension of [T, H, W, 3] at pixel indices, 0 outside: only these are made float."""
    size = images.shape[dim]
    positions = (positions * SUBPIXELS).round() / SUBPIXELS
    below = positions.floor()
    result = 0.0
    for index, weight in ((below, below + 1 - positions), (below + 1, positions - below)):
        weight = weight * ((index >= 0) & (index < size))
        weight = weight.view([-1 if d == dim else 1 for d in range(4)])
        result = result + images.index_select(dim, index.clamp(0, size - 1).long()) * weight
    return result


def _decode(offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Offsets [T, N, 16] to pixels of the network's input: two corners of the box, six points, [T, N, 8, 2]."""
    centre, extent, points = offsets.unflatten(-1, (8, 2)).split((1, 1, 6), -2)
    points = torch.cat([centre - extent / 2, centre + extent / 2, points], -2)
    return points + anchors[:, None]


def _merged(points: torch.Tensor, scores: torch.Tensor) -> list[Detection]:
    """Weighted non-maximum suppression: candidates [N, 8, 2] with scores [N] to one detection per face.

    The best candidate and those that overlap it are averaged by score, then the best of the rest, and so on.
    """
    order = scores.argsort(descending=True, stable=True)
    points, scores = points[order], scores[order]
    faces = []
    while len(scores):
        alike = _overlaps(points[0, :2].flatten(), points[:, :2].flatten(1)) > NMS_OVERLAP
        alike[0] = True  # a box of no area overlaps nothing, not even itself
        weights = (scores[alike] / scores[alike].sum())[:, None, None]
        mean = (weights * points[alike]).sum(0)
        faces.append(Detection(mean[:2].flatten(), mean[2:], float(scores[0])))
        points, scores = points[~alike], scores[~alike]
    return faces


def _overlaps(box: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Intersection over union of a box [4] with boxes [N, 4]: [N]."""
    shared = _shared(box, boxes)
    return shared / (_area(box) + _area(boxes) - shared)


def _shared(box: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Area of the intersection of a box [4] with boxes [..., 4]: [...]."""
    return (torch.minimum(boxes[..., 2:], box[2:]) - torch.maximum(boxes[..., :2], box[:2])).clamp(min=0).prod(-1)


def _area(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def _united(candidates: Iterable[Detection]) -> list[Detection]:
    """Detections of both networks, best score first, each face once.

    Near the smallest face that it can find the short-range network draws its box up to twice as large. It is the same
    face where one box holds half of the other.
    """
    faces: list[Detection] = []
    for face in sorted(candidates, key=lambda face: -face.score):
        if all(_shared(face.box, other.box) <= torch.minimum(_area(face.box), _area(other.box)) / 2 for other in faces):
            faces.append(face)
    return faces


def _enlarged(faces: list[Detection], thumbnail: tuple[int, int], picture: tuple[int, int]) -> list[Detection]:
    """Detections in a thumbnail of (height, width) in pixels of the picture that it was made from."""
    scale = torch.tensor([picture[1] / thumbnail[1], picture[0] / thumbnail[0]])

    def moved(points: torch.Tensor) -> torch.Tensor:
        return (points + 0.5) * scale - 0.5

    return [Detection(moved(face.box.view(2, 2)).flatten(), moved(face.keypoints), face.score) for face in faces]
