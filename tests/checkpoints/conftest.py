"""Manifests of the golden sets, and samples written to files."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import save_file

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
