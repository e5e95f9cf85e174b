"""dlib's face network (a ResNet of 29 layers), weights from @vladmandic/face-api's eight-bit file.

Both dlib's weights and face-api are free to use for any purpose. The file is ``face_recognition_model.bin`` in the
package's folder ``model``; names, shapes and scales are in ``face_recognition_model-weights_manifest.json`` beside it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import InputError

WANTED = "face_recognition_model.bin of @vladmandic/face-api, with its weights manifest beside it"
MANIFEST = "-weights_manifest.json"
SIZE = 150
MEAN = (122.782, 117.001, 104.298)  # of the training pictures' red, green and blue, of 255
STAGES = {"32": 4, "64": 4, "128": 3, "256": 3}  # blocks by width; the first of each but of 32 halves the picture


class DlibResNet(nn.Module):
    """Residual network: [N, 3, 150, 150] RGB in [-1, 1] to descriptors [N, 128]."""

    size = SIZE
    eyes = ((47.6, 46.6), (100.5, 46.6))  # dlib's mean face with a padding of a quarter

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = _Layer(3, 32, 7, stride=2)
        for width, blocks in STAGES.items():
            for number in range(1 if width == "32" else 0, blocks):
                self.add_module(f"conv{width}_{number or 'down'}", _Block(int(width), halves=not number))
        self.conv256_down_out = _Block(256, halves=True, widens=False)
        self.fc = nn.Parameter(torch.empty(256, 128))
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1) / 255, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.conv32_down((x + 1) / 2 - self.mean))
        x = F.max_pool2d(x, 3, 2)
        for block in list(self.children())[1:]:
            x = block(x)
        return x.mean((2, 3)) @ self.fc


class _Layer(nn.Module):
    """A convolution, then a factor and an offset for every channel."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=0 if stride > 1 else kernel // 2)
        self.weights, self.biases = nn.Parameter(torch.ones(outputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) * self.weights[:, None, None] + self.biases[:, None, None]


class _Block(nn.Module):
    def __init__(self, width: int, *, halves: bool, widens: bool = True) -> None:
        super().__init__()
        inputs = width // 2 if halves and widens else width
        self.halves = halves
        self.conv1, self.conv2 = _Layer(inputs, width, stride=2 if halves else 1), _Layer(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.conv2(F.relu(self.conv1(x)))
        if self.halves:
            x = F.avg_pool2d(x, 2)
            # A convolution without padding ends a pixel early; new channels start at zero.
            inner = F.pad(inner, (0, x.shape[-1] - inner.shape[-1], 0, x.shape[-2] - inner.shape[-2]))
            x = F.pad(x, (0, 0, 0, 0, 0, inner.shape[1] - x.shape[1]))
        return F.relu(inner + x)


def load_face_api(path: Path, device: torch.device | str = "cpu") -> DlibResNet:
    """The network of ``face_recognition_model.bin`` at ``path``.

    Raises:
        InputError: the file, or the manifest beside it, is missing or something else.
    """
    manifest = path.with_name(path.stem + MANIFEST)
    if not manifest.is_file():
        raise InputError(f"{manifest.name} is missing beside {path}; give {WANTED}.")
    try:
        network = DlibResNet()
        network.load_state_dict(_read(path.read_bytes(), json.loads(manifest.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise InputError(f"{path} is not the right file; give {WANTED}.") from error
    return network.eval().requires_grad_(False).to(device)


def _read(data: bytes, manifest: list) -> dict[str, torch.Tensor]:
    """State dict of tensors that lie one behind the other, in eight bits with a scale or as float32."""
    state, start, left = {}, 0, bytearray(data)
    for entry in manifest[0]["weights"]:
        scale, count = entry.get("quantization"), math.prod(entry["shape"])
        values = torch.frombuffer(left, dtype=torch.uint8 if scale else torch.float32, count=count, offset=start)
        start += values.nbytes
        if scale:
            values = values.double() * scale["scale"] + scale["min"]
        value = values.float().view(entry["shape"])
        state[_name(entry["name"])] = value.permute(3, 2, 0, 1) if value.ndim == 4 else value
    return state


def _name(name: str) -> str:
    """``conv32_1/conv1/conv/filters`` to ``conv32_1.conv1.conv.weight``."""
    name = name.replace("scale/", "").replace("conv/filters", "conv/weight")
    return name.replace("/", ".")
