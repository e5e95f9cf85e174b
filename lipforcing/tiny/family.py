"""The embedded model family: trained weights that come with the package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from ..codecs.tiny import TinyCodec
from ..models import WanTransformer
from ..models.config import tiny as tiny_transformer
from ..syncnet.model import SyncNet, SyncNetConfig
from .meter import MouthMeter

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "weights"
SAMPLES = FOLDER / "samples"
CROP_SIZE = 128  # pixels of the aligned face crop, both ways

PARTS: dict[str, Callable[[], nn.Module]] = {
    "student": lambda: WanTransformer(tiny_transformer()),
    "teacher": lambda: WanTransformer(tiny_transformer()),
    "codec": TinyCodec,
    "syncnet": lambda: SyncNet(SyncNetConfig.tiny()),
    "meter": MouthMeter,
}


def weights_path(part: str) -> Path:
    """File of a part of the family: student, teacher, codec, syncnet or meter."""
    return WEIGHTS / f"{part}.safetensors"


def load(part: str, device: torch.device | str = "cpu") -> nn.Module:
    """A part of the family in float32, in evaluation mode, without gradients."""
    module = PARTS[part]()
    with safe_open(weights_path(part), framework="pt") as file:
        module.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return module.to(device).eval().requires_grad_(False)


def save(part: str, module: nn.Module, recipe: dict, folder: Path = WEIGHTS) -> Path:
    """Write a trained part; transformers in half precision, which keeps the family small."""
    half = isinstance(module, WanTransformer)
    state = {name: value.half() if half else value for name, value in module.state_dict().items()}
    metadata = {"kind": f"tiny {part}", "recipe": recipe}
    if isinstance(module, WanTransformer):
        metadata["config"] = vars(module.config)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.safetensors"
    tensors = {name: value.detach().contiguous().clone() for name, value in state.items()}
    save_file(tensors, path, metadata={"lipforcing": json.dumps(metadata)})
    return path
