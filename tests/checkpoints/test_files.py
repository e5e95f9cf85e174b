"""Every container gives back exactly the tensors that were saved, lazily."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from lipforcing.checkpoints.files import open_tensors
from lipforcing.errors import InputError

from .samples import check


def test_safetensors(tmp_path, tensors):
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    tensors["fp8"] = torch.arange(4.0).to(torch.float8_e4m3fn)
    save_file(tensors, tmp_path / "misnamed.pth", metadata={"hello": "world"})
    fp8 = tensors.pop("fp8")
    file = open_tensors(tmp_path / "misnamed.pth")
    assert file.metadata == {"hello": "world"}
    assert torch.equal(file["fp8"].float(), fp8.float())
    save_file(tensors, tmp_path / "b.safetensors")
    check(tmp_path / "b.safetensors", tensors, "safetensors")


def shards(folder, count=2):
    names = {f"t{i}": torch.full((3,), float(i)) for i in range(count)}
    weight_map = {}
    for i, (name, tensor) in enumerate(names.items()):
        file = f"model-{i + 1:05d}-of-{count:05d}.safetensors"
        save_file({name: tensor}, folder / file)
        weight_map[name] = file
    return names, weight_map


@pytest.mark.parametrize("with_index", [True, False])
def test_shards_read_as_one(tmp_path, with_index):
    names, weight_map = shards(tmp_path)
    if with_index:
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        check(tmp_path / "model.safetensors.index.json", names, "safetensors shards")
    check(tmp_path, names, "safetensors shards")
    (tmp_path / weight_map["t1"]).unlink()
    with pytest.raises(InputError, match="incomplete"):
        open_tensors(tmp_path)


def test_folder_with_one_file_and_its_config(tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "model.safetensors")
    torch.save({"w": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text('{"num_attention_heads": 4}')
    file = open_tensors(tmp_path)
    assert file.format == "safetensors" and json.loads(file.metadata["config.json"]) == {"num_attention_heads": 4}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"GGUF" + bytes(100), "a GGUF file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"random bytes that mean nothing at all", "neither safetensors nor"),
        (b"\x80\x02}q\x00.", "bare pickle"),
        (b"\x1f\x8b" + bytes(10), "a gzip archive"),
    ],
)
def test_other_files_are_named(tmp_path, content, message):
    path = tmp_path / "lipforcing_14b.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_tensors(path)


def test_missing_path_and_unclear_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_tensors(tmp_path / "nothing.pth")
    with pytest.raises(InputError, match="no weights"):
        open_tensors(tmp_path)
    for name in ("a", "b"):
        save_file({"w": torch.ones(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match="2 weight files"):
        open_tensors(tmp_path)
