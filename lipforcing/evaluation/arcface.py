"""ArcFace's network (IResNet), weights from a file (the layout of InsightFace's arcface_torch)."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn

from ..errors import InputError
from .weights import read_state

WANTED = "an ArcFace backbone of InsightFace's arcface_torch (for example R100, MS1MV3)"
SIZE = 112
WIDTHS = (64, 128, 256, 512)


class IResNet(nn.Module):
    """Residual network of ArcFace: [N, 3, 112, 112] RGB in [-1, 1] to embeddings [N, E].

    Args:
        depths: blocks of its four stages.
        embedding: E.
        widths: channels of its four stages; the published ones have 64, 128, 256, 512.
    """

    size = SIZE
    eyes = ((38.3, 51.6), (73.5, 51.6))  # where it expects them: left and right in the picture

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
