"""The embedded model family: trained weights that come with the package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ..audio.logmel import LogMelEncoder
from ..checkpoints import Kind, load_into, load_module, write_weights
from ..checkpoints.configs import OwnMetadata, as_table, tiny_codec_config
from ..checkpoints.files import open_tensors
from ..checkpoints.sources import InMemory
from ..codecs.tiny import TinyCodec
from ..errors import InputError
from ..faces.mesh_detector import DRAWN_LAYOUT
from ..models import WanTransformer
from ..models.config import tiny as tiny_transformer
from ..models.syncnet import SyncNet, SyncNetConfig
from ..sampling.causal import NetworkStudent
from ..sampling.schedules import TWO_STEP
from ..stream.family import Family
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
    "syncnet_logmel": lambda: SyncNet(SyncNetConfig.tiny_logmel()),
    "meter": MouthMeter,
}

#: Of the files, to keep the family small; what fp16 cannot hold (variances of pixels from 0 to 255) is bf16.
PRECISIONS = {"syncnet_logmel": "bf16"}

KINDS = {"student": Kind.STUDENT.value, "teacher": Kind.TEACHER.value, "syncnet": Kind.SYNCNET.value}


def weights_path(part: str, folder: Path = WEIGHTS) -> Path:
    """File of a part of the family: student, teacher, codec, syncnet, syncnet_logmel or meter."""
    return folder / f"{part}.safetensors"


def load(part: str, device: torch.device | str = "cpu", folder: Path = WEIGHTS) -> nn.Module:
    """A part of the family in float32, in evaluation mode, without gradients."""
    source = open_tensors(weights_path(part, folder))
    module = TinyCodec(tiny_codec_config(source)) if part == "codec" else PARTS[part]()
    load_into(module, source, dtype=torch.float32)
    return module.to(device).eval().requires_grad_(False)


def tiny_family(
    device: torch.device | str = "cpu", student: str | Path | None = None, dtype: torch.dtype = torch.float32
) -> Family:
    """The family ready to run, with its own student or another one of its sizes from the file ``student``.

    Raises:
        InputError: the file is no student, or one that needs other parts.
    """
    network, schedule = load("student", device), TWO_STEP
    if student is not None:
        network, checkpoint = load_module(student, Kind.STUDENT, device=device, dtype=dtype)
        schedule = checkpoint.own.schedule or TWO_STEP
        if network.config != tiny_transformer():
            raise InputError(
                f"{student} is {checkpoint.describe()}, which needs more files: "
                "a codec (Wan 2.1 VAE), an audio encoder (wav2vec2-base-960h) and a text embedding; give all three."
            )
    network, codec = network.to(dtype), load("codec", device).to(dtype)
    text = torch.zeros(1, network.config.text_len, network.config.text_dim, device=device, dtype=dtype)
    return Family(NetworkStudent(network), codec, codec, LogMelEncoder(), text, CROP_SIZE, schedule, DRAWN_LAYOUT)


def save(part: str, module: nn.Module, recipe: dict, folder: Path = WEIGHTS) -> Path:
    """Write a trained part, in half precision, with its recipe."""
    about = OwnMetadata(
        kind=KINDS.get(part, f"tiny_{part}"),
        config=as_table(module.config) if isinstance(module, WanTransformer) else {},
        schedule=TWO_STEP if part == "student" else (),
        rest={"recipe": recipe},
    )
    folder.mkdir(parents=True, exist_ok=True)
    precision = PRECISIONS.get(part, "fp16")
    return write_weights(InMemory(module.state_dict()), weights_path(part, folder), precision, about)
