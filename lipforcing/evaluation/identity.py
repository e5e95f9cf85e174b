"""Identity similarity by ArcFace (IResNet), weights from a file (the layout of InsightFace's arcface_torch)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..errors import InputError
from ..faces.warp import compose, invert, resize_matrix, sample
from .batches import CROP, Batch
from .weights import read_state

WANTED = "an ArcFace backbone of InsightFace's arcface_torch (for example R100, MS1MV3)"
SIZE = 112
WIDTHS = (64, 128, 256, 512)

# ArcFace's template has the eyes 35.24 pixels apart around (55.9, 51.6) of 112; the 420 x 560 crop has its brow anchors
# 229.6 pixels apart, which is 1.16 distances of the eyes, and 0.295 of such distances above them (faces.landmarks).
_EYES = 229.6 / 1.16
_SCALE = 35.24 / _EYES
_TO_ARCFACE = torch.tensor([[_SCALE, 0.0, 55.9 - _SCALE * 210.0], [0.0, _SCALE, 51.6 - _SCALE * (112 + 0.295 * _EYES)]])


class IResNet(nn.Module):
    """Residual network of ArcFace: [N, 3, 112, 112] RGB in [-1, 1] to embeddings [N, E].

    Args:
        depths: blocks of its four stages.
        embedding: E.
        widths: channels of its four stages; the published ones have 64, 128, 256, 512.
    """

    def __init__(self, depths: tuple[int, ...], embedding: int = 512, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = _norm(widths[0])
        self.prelu = nn.PReLU(widths[0])
        width = widths[0]
        for stage, (depth, out) in enumerate(zip(depths, widths), 1):
            blocks = [_Block(width if i == 0 else out, out, 2 if i == 0 else 1) for i in range(depth)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            width = out
        self.bn2 = _norm(width)
        self.fc = nn.Linear(width * (SIZE // 16) ** 2, embedding)
        self.features = nn.BatchNorm1d(embedding, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.prelu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


class _Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = _norm(width)
        self.conv1 = nn.Conv2d(width, out, 3, padding=1, bias=False)
        self.bn2 = _norm(out)
        self.prelu = nn.PReLU(out)
        self.conv2 = nn.Conv2d(out, out, 3, stride, padding=1, bias=False)
        self.bn3 = _norm(out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), _norm(out)) if stride > 1 else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return inner + self.downsample(x)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-5)


def load_arcface(path: Path, device: torch.device | str = "cpu") -> IResNet:
    """The network of a weight file, of any depth.

    Raises:
        InputError: the file holds something else.
    """
    state = read_state(path, WANTED)
    blocks = {match.groups() for match in (re.match(r"layer(\d)\.(\d+)\.", key) for key in state) if match}
    depths = tuple(sum(stage == str(wanted) for stage, _ in blocks) for wanted in range(1, 5))
    try:
        widths = tuple(state[f"layer{stage}.0.conv1.weight"].shape[0] for stage in range(1, 5))
        network = IResNet(depths, len(state["fc.bias"]), widths)
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path} is not the right file; give {WANTED}.") from error
    return network.eval().requires_grad_(False).to(device)


class IdentityMeasure:
    """Mean cosine of the embeddings of result and reference over the frames of a clip.

    Args:
        network: [N, 3, 112, 112] in [-1, 1] to embeddings [N, E].
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._faces: list[float] = []
        self._frames: list[float] = []

    @torch.inference_mode()
    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        self._faces += self._cosines(
            *(torch.stack([arcface_crop(c) for c in x]) for x in (batch.result, batch.reference))
        )
        whole = (torch.stack([_squash(f) for f in x]) for x in (batch.result_frames, batch.reference_frames))
        self._frames += self._cosines(*whole)

    def _cosines(self, first: torch.Tensor, second: torch.Tensor) -> list[float]:
        device = next(self._network.parameters()).device
        embeddings = [self._network((x / 127.5 - 1).to(device)) for x in (first, second)]
        return F.cosine_similarity(*embeddings).tolist()

    def values(self) -> dict[str, float]:
        """Figures of the clip."""
        return {"identity_face": float(np.mean(self._faces)), "identity_frame": float(np.mean(self._frames))}


def arcface_crop(crop: torch.Tensor) -> torch.Tensor:
    """ArcFace's crop, float [3, 112, 112] in 0 to 255, out of a face crop uint8 [256, 256, 3]."""
    to_template = invert(resize_matrix((560, 420), (CROP, CROP)))
    to_crop = invert(compose(_TO_ARCFACE, to_template))
    return sample(crop.permute(2, 0, 1)[None].float(), to_crop[None], (SIZE, SIZE), "border")[0]


def _squash(frame: torch.Tensor) -> torch.Tensor:
    pixels = frame.permute(2, 0, 1)[None].float()
    return F.interpolate(pixels, (SIZE, SIZE), mode="bilinear", antialias=True)[0]
