"""Every container gives back exactly the tensors that were saved, lazily."""

from __future__ import annotations

import json
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lipforcing.checkpoints.files import open_tensors
from lipforcing.errors import InputError


@pytest.fixture
def tensors():
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


def check(path, tensors, format):
    file = open_tensors(path)
    assert file.format == format
    assert set(file) == set(tensors)
    for name, tensor in tensors.items():
        assert file.shapes[name] == tuple(tensor.shape) and file.dtypes[name] == tensor.dtype
        assert torch.equal(file[name], tensor.detach()), name
        blocks = list(file.blocks(name, block_bytes=16))
        assert torch.equal(torch.cat(blocks) if tensor.ndim and len(tensor) else file[name], tensor.detach()), name


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_keep_values_shapes_and_strides(tmp_path, tensors, zipped):
    torch.save(tensors, tmp_path / "a.bin", _use_new_zipfile_serialization=zipped)
    check(tmp_path / "a.bin", tensors, "torch zip" if zipped else "torch legacy")


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


def test_float8_in_torch_zip(tmp_path):
    tensor = torch.arange(8.0).to(torch.float8_e4m3fn)
    torch.save({"w": tensor}, tmp_path / "a.pt")
    assert torch.equal(open_tensors(tmp_path / "a.pt")["w"].float(), tensor.float())


def test_nested_dicts_become_dotted_names(tmp_path):
    torch.save({"model": {"net": OrderedDict(w=torch.ones(2))}, "step": 3, "args": {"lr": 1e-4}}, tmp_path / "a.pt")
    assert set(open_tensors(tmp_path / "a.pt")) == {"model.net.w"}


def test_bare_tensor(tmp_path):
    torch.save(torch.ones(2, 3), tmp_path / "a.pt")
    assert open_tensors(tmp_path / "a.pt").shapes == {"tensor": (2, 3)}


def test_module_state_dict_with_metadata_attribute(tmp_path):
    state = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict()
    torch.save(state, tmp_path / "a.pt")
    check(tmp_path / "a.pt", state, "torch zip")


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_distributed_folder(tmp_path):
    import torch.distributed.checkpoint as dcp

    state = {"net": {"w": torch.arange(12.0).view(3, 4), "b": torch.ones(2, dtype=torch.bfloat16)}, "step": 5}
    dcp.save(state, checkpoint_id=tmp_path / "a.net_model")
    file = open_tensors(tmp_path / "a.net_model")
    assert file.format == "distributed"
    assert torch.equal(file["net.w"], state["net"]["w"]) and torch.equal(file["net.b"], state["net"]["b"])
    assert torch.equal(file.rows("net.w", 1, 3), state["net"]["w"][1:3])
    # The trainer's folder beside a student file that was not consolidated.
    assert set(open_tensors(tmp_path / "a.pth")) == {"net.w", "net.b"}
    (tmp_path / "a.net_model" / "__0_0.distcp").unlink()
    with pytest.raises(InputError, match="incomplete"):
        open_tensors(tmp_path / "a.net_model")


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
