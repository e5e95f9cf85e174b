"""Manifests of the golden sets, and samples written to files."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ..conftest import goldens_folder


@pytest.fixture
def golden_json():
    """``golden_json(name)`` parses ``<name>.json`` of the golden folder; skips where it is not there."""

    def load(name: str) -> dict:
        folder = goldens_folder()
        path = folder / f"{name}.json" if folder else None
        if path is None or not path.is_file():
            pytest.skip(f"golden set {name} not found (LIPFORCING_GOLDENS)")
        return json.loads(path.read_text())

    return load


@pytest.fixture
def write(tmp_path):
    """``write(tensors, name, metadata)`` saves safetensors and returns the path."""

    def save(tensors, name="a.safetensors", metadata=None):
        path = tmp_path / name
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, metadata=metadata)
        return path

    return save


@pytest.fixture
def student_shapes(golden_json):
    """Name -> shape of the 14B student's 1,137 tensors."""
    return {entry["name"]: entry["shape"] for entry in golden_json("state_dict_manifest_14b")["keys"]}


@pytest.fixture
def released(tmp_path, student_shapes):
    """``released(name, wrap)`` saves a file like the 14B student, of zeros that take 5 MB on the disk."""
    if sys.platform == "win32":
        pytest.skip("Windows writes the zeros of a file and counts memory that is not used")

    def save(name="lipforcing_14b.pth", wrap=lambda tensors: tensors):
        tensors = {key: torch.empty(shape, dtype=torch.bfloat16) for key, shape in student_shapes.items()}
        with torch.serialization.skip_data():
            torch.save(wrap(tensors), tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def tensors():
    """Tensors of all kinds that a state dict may hold."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 5, generator=generator)
    return {
        "plain": base,
        "transposed": base.t(),
        "slice": base[1:5, ::2],
        "half": base.half(),
        "bf16": base.bfloat16(),
        "double": base.double(),
        "int": torch.arange(7),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": nn.Parameter(torch.ones(2, 2)),
    }
