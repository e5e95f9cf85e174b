"""Writing safetensors: whole or not at all."""

from __future__ import annotations

import os

import pytest
import torch
from safetensors.torch import load_file

from lipforcing import output
from lipforcing.checkpoints.convert import write_weights
from lipforcing.checkpoints.sources import InMemory, Spec, TensorSource
from lipforcing.checkpoints.writer import SafetensorsWriter, replacing
from lipforcing.errors import InputError


class Failing(InMemory, TensorSource):
    """A source whose last tensor cannot be read."""

    def rows(self, name, start, stop):
        if name == "z":
            raise KeyboardInterrupt
        return super().rows(name, start, stop)


def test_interrupted_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    out = tmp_path / "o.safetensors"
    out.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_weights(Failing({"a": torch.ones(10), "z": torch.ones(10)}), out)
    assert out.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["o.safetensors"]


def test_full_disk_and_missing_folder_are_messages(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="does not exist; create it"):
        write_weights(InMemory({"a": torch.ones(1)}), tmp_path / "none" / "o.safetensors")
    with pytest.raises(InputError, match="is a folder"):
        write_weights(InMemory({"a": torch.ones(1)}), tmp_path)

    class Usage:
        free = 3

    monkeypatch.setattr(output.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(InputError, match=r"needs .* make room"):
        write_weights(InMemory({"a": torch.ones(9)}), tmp_path / "o.safetensors")
    monkeypatch.undo()

    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(InputError, match="no space left on device"):
        write_weights(InMemory({"a": torch.ones(9)}), tmp_path / "o.safetensors")
    assert not list(tmp_path.iterdir())


def test_tensors_come_in_any_order_and_row_by_row(tmp_path):
    tensors = {"a": torch.arange(6.0).view(3, 2), "b": torch.tensor(7, dtype=torch.int64), "c": torch.zeros(0, 4)}
    specs = {name: Spec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    path = tmp_path / "a.safetensors"
    with replacing(path, 100) as file:
        writer = SafetensorsWriter(file, specs, {"k": "v"})
        counts = [*writer.write("b", [tensors["b"]]), *writer.write("a", tensors["a"].split(1)), *writer.write("c", [])]
        assert counts == [8, 16, 24, 32] and writer.written == writer.total == 32
        writer.finish()
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys() and all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_a_tensor_that_was_forgotten_is_no_file(tmp_path):
    with (
        pytest.raises(RuntimeError, match="wrote 0 bytes of tensors instead of 4"),
        replacing(tmp_path / "a", 4) as file,
    ):
        SafetensorsWriter(file, {"a": Spec((1,), torch.float32)}, {}).finish()
    assert not list(tmp_path.iterdir())
