"""Identity similarity: how alike the faces of result and reference are to a network that tells people apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..faces.warp import compose, invert, resize_matrix, sample
from .arcface import load_arcface
from .batches import CROP, Batch
from .dlib_resnet import load_face_api

# The 420 x 560 crop has its brow anchors 229.6 pixels apart, which is 1.16 distances of the eyes, and 0.295 of such
# distances above them (faces.landmarks).
_APART = 229.6 / 1.16
_MIDDLE = (210.0, 112 + 0.295 * _APART)


def load_identity(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """A network that tells people apart: face-api's ``.bin``, else an ArcFace backbone.

    Raises:
        InputError: the file holds something else.
    """
    return (load_face_api if path.suffix == ".bin" else load_arcface)(path, device)


class IdentityMeasure:
    """Mean cosine of the embeddings of result and reference over the frames of a clip.

    Args:
        network: [N, 3, size, size] in [-1, 1] to embeddings [N, E]; its ``size``, and its ``eyes``, where in its
            pictures it expects them ((x, y) left, (x, y) right).
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._faces: list[float] = []
        self._frames: list[float] = []

    @torch.inference_mode()
    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        size, eyes = self._network.size, self._network.eyes
        aligned = (torch.stack([eyes_crop(one, size, eyes) for one in x]) for x in (batch.result, batch.reference))
        self._faces += self._cosines(*aligned)
        whole = (torch.stack([_squash(f, size) for f in x]) for x in (batch.result_frames, batch.reference_frames))
        self._frames += self._cosines(*whole)

    def _cosines(self, first: torch.Tensor, second: torch.Tensor) -> list[float]:
        device = next(self._network.parameters()).device
        embeddings = [self._network((x / 127.5 - 1).to(device)) for x in (first, second)]
        return F.cosine_similarity(*embeddings).tolist()

    def values(self) -> dict[str, float]:
        """Figures of the clip."""
        return {"identity_face": float(np.mean(self._faces)), "identity_frame": float(np.mean(self._frames))}


def eyes_crop(crop: torch.Tensor, size: int, eyes: tuple[tuple[float, float], tuple[float, float]]) -> torch.Tensor:
    """A face crop uint8 [256, 256, 3] with its eyes where a network expects them: [3, size, size] in 0 to 255."""
    (left, top), (right, _) = eyes
    scale = (right - left) / _APART
    shift_x, shift_y = (left + right) / 2 - scale * _MIDDLE[0], top - scale * _MIDDLE[1]
    to_network = torch.tensor([[scale, 0.0, shift_x], [0.0, scale, shift_y]])
    to_template = invert(resize_matrix((560, 420), (CROP, CROP)))
    to_crop = invert(compose(to_network, to_template))
    return sample(crop.permute(2, 0, 1)[None].float(), to_crop[None], (size, size), "border")[0]


def _squash(frame: torch.Tensor, size: int) -> torch.Tensor:
    pixels = frame.permute(2, 0, 1)[None].float()
    return F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)[0]
