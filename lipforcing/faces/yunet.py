"""YuNet face detection with a weight file from disk; nothing is ever downloaded."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from ..checkpoints import load_into
from ..checkpoints.files import open_tensors
from ..errors import InputError
from ..media import Picture
from .landmarks import Face
from .yunet_network import YuNet

STRIDES = (8, 16, 32, 64)
PRIOR_SIZES = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
VARIANCES = (0.1, 0.2)
REMEDY = "take yunet_final.pth of kornia's model collection (huggingface.co/kornia/yunet), 0.4 MB"
MIN_SIDE = 64  # pixels; below, nothing is left after the network's last halving
NMS_OVERLAP = 0.3  # boxes that overlap more (IoU) are one face


class YuNetDetector:
    """A :class:`~lipforcing.faces.landmarks.LandmarkDetector` with layout ``yunet5``.

    Args:
        path: weight file as published by kornia (a pickled state dict).
        max_side: frames are shrunk until neither side is longer than this; a face should keep 16 pixels.
        min_score: detections below are dropped.
        device: where the network runs, by default torch's default device.

    Raises:
        InputError: the file is missing or holds anything but YuNet's weights.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_side: int = 480,
        min_score: float = 0.6,
        device: torch.device | str | None = None,
    ) -> None:
        self.network = YuNet()
        _load_weights(self.network, Path(path))
        self.network.eval().requires_grad_(False).to(device or torch.get_default_device())
        self.max_side = max_side
        self.min_score = min_score

    @torch.inference_mode()
    def __call__(self, picture: Picture, known: Sequence[Face] = (), search: bool = True) -> list[Face]:
        """The faces of a picture, best score first, on the CPU in its coordinates; every picture by itself."""
        height, width = picture.height, picture.width
        shrink = min(1.0, self.max_side / max(height, width))
        h, w = max(1, round(height * shrink)), max(1, round(width * shrink))
        pixels = picture.thumbnail(h, w).permute(2, 0, 1)[None].to(next(self.network.parameters()).device).float()
        # The network halves its input six times.
        pixels = F.pad(pixels.flip(1), (0, max(-w % 32, MIN_SIDE - w), 0, max(-h % 32, MIN_SIDE - h)))
        offsets, probability, quality = self.network(pixels)
        scores = (probability * quality.clamp(0, 1)).sqrt().cpu()
        rows = _decode(offsets.cpu(), *pixels.shape[-2:])
        # Half-pixel resize: edges map to edges, so pixel centres move by half a pixel before and after scaling.
        scale = torch.tensor([width / w, height / h])
        rows = ((rows.unflatten(-1, (7, 2)) + 0.5) * scale - 0.5).flatten(-2)
        return self._faces(rows[0], scores[0])

    def _faces(self, rows: torch.Tensor, scores: torch.Tensor) -> list[Face]:
        """Detections [N, 14] with scores [N] of one frame, merged to one per face.

        A face fires many prior boxes. Their average trembles less from frame to frame than the best of them alone.
        """
        keep = scores >= self.min_score / 2
        rows, scores = rows[keep], scores[keep]
        faces = []
        left = scores.argsort(descending=True)
        while len(left) and scores[left[0]] >= self.min_score:
            best = left[0]
            left = left[_overlaps(rows[best, :4], rows[left, :4]) < NMS_OVERLAP]
            alike = _overlaps(rows[best, :4], rows[:, :4]) >= NMS_OVERLAP
            row = (scores[alike, None] * rows[alike]).sum(0) / scores[alike].sum()
            faces.append(Face(row[:4], float(scores[best]), row[4:].view(5, 2), "yunet5"))
        return faces


def _overlaps(box: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Intersection over union of box [4] with boxes [N, 4]: [N]."""
    shared = (torch.minimum(boxes[:, 2:], box[2:]) - torch.maximum(boxes[:, :2], box[:2])).clamp(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / (areas + (box[2:] - box[:2]).prod() - shared)


def _load_weights(network: YuNet, path: Path) -> None:
    try:
        load_into(network, open_tensors(path))
    except InputError as error:
        raise InputError(f"{path} is not a YuNet weight file ({error}); {REMEDY}.") from None


@functools.lru_cache(maxsize=8)
def _priors(height: int, width: int) -> torch.Tensor:
    """Centre and size (x, y, w, h) in pixels of every prior box of an input with sides divisible by 32: [N, 4]."""
    levels = []
    for stride, sizes in zip(STRIDES, PRIOR_SIZES):
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        centres = (torch.stack([x, y], -1) + 0.5).mul(stride)[:, :, None].expand(-1, -1, len(sizes), -1)
        sides = torch.tensor(sizes, dtype=torch.float32)[:, None].expand(*centres.shape)
        levels.append(torch.cat([centres, sides], -1).reshape(-1, 4))
    return torch.cat(levels)


def _decode(offsets: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Network offsets [T, N, 14] to (x0, y0, x1, y1, five points) in pixels of the network's input: [T, N, 14]."""
    priors = _priors(height, width)
    centre, side = priors[:, :2], priors[:, 2:]
    middle = centre + offsets[..., :2] * VARIANCES[0] * side
    half = side * torch.exp(offsets[..., 2:4] * VARIANCES[1]) / 2
    points = centre.repeat(1, 5) + offsets[..., 4:] * VARIANCES[0] * side.repeat(1, 5)
    return torch.cat([middle - half, middle + half, points], -1)
