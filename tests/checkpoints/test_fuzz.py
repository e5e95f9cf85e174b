"""Damaged and hostile files: a message or a correct reading, never a crash, never code, never unbounded memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import re
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lipforcing.checkpoints import inspect, open_checkpoint, torch_files
from lipforcing.checkpoints.files import open_tensors
from lipforcing.errors import InputError

from . import samples

TENSORS = {
    "blocks.0.self_attn.q.weight": torch.arange(12.0).view(3, 4),
    "blocks.0.modulation": torch.ones(1, 6, 4, dtype=torch.bfloat16),
    "audio_proj.proj.weight": torch.ones(2, 8).t(),
    "steps": torch.tensor(7),
}
MEMORY = 48 << 20  # growth of the process that none of these small files may cause
BOMB = 128 << 20


def read_all(path) -> bool:
    """Open, recognise, inspect and read everything; whether it worked. Anything but InputError escapes."""
    try:
        checkpoint = open_checkpoint(path)
        inspect(path)
        for name in checkpoint.file:
            for _ in checkpoint.file.blocks(name):
                pass
        for name in checkpoint.weights:
            checkpoint.weights[name].shape  # noqa: B018
        return True
    except InputError as error:
        assert len(str(error)) < 1000
        return False


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One small file of each container."""
    folder = tmp_path_factory.mktemp("originals")
    save_file({k: v.contiguous() for k, v in TENSORS.items()}, folder / "a.safetensors", metadata={"k": "v"})
    torch.save({"net": TENSORS}, folder / "zip.pth")
    torch.save({"net": TENSORS}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


CONTAINERS = ("a.safetensors", "zip.pth", "legacy.pth")


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_originals_are_readable(originals, tmp_path, name):
    (tmp_path / name).write_bytes(originals[name])
    assert read_all(tmp_path / name)


@pytest.mark.parametrize("name", CONTAINERS)
def test_truncated_at_every_boundary(originals, tmp_path, name):
    data = originals[name]
    boundaries = {*range(0, 80), *range(80, len(data), max(1, len(data) // 60)), *range(len(data) - 30, len(data))}
    for length in sorted(boundaries):
        (tmp_path / name).write_bytes(data[:length])
        assert not read_all(tmp_path / name), f"{name} cut to {length} of {len(data)} bytes was accepted"


@pytest.mark.parametrize("name", CONTAINERS)
def test_bit_flips(originals, tmp_path, name):
    data, stream = originals[name], random.Random(name)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(stream.choice((1, 1, 4))):
            damaged[stream.randrange(len(data))] ^= 1 << stream.randrange(8)
        (tmp_path / name).write_bytes(damaged)
        read_all(tmp_path / name)


@pytest.mark.parametrize("name", CONTAINERS)
def test_spliced_and_overwritten_pieces(originals, tmp_path, name):
    data, stream = originals[name], random.Random(name)
    for _ in range(60):
        start, length = stream.randrange(len(data)), stream.randrange(1, 40)
        piece = stream.choice((b"\xff" * length, bytes(length), stream.randbytes(length), b""))
        (tmp_path / name).write_bytes(data[:start] + piece + data[start + length :])
        read_all(tmp_path / name)


def write_safetensors(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HEADERS = {
    "wrong dtype": {"a": entry("F33")},
    "sub-byte dtype": {"a": entry("F4", (4,), (0, 2))},
    "negative shape": {"a": entry(shape=(-1, -2))},
    "boolean shape": {"a": entry(shape=(True, 2))},
    "huge empty shape": {"a": entry(shape=(1 << 62, 0), offsets=(0, 0))},
    "huge offsets": {"a": entry(shape=(1 << 40,), offsets=(0, 1 << 42))},
    "overlap": {"a": entry(), "b": entry(offsets=(4, 12))},
    "hole": {"a": entry(), "b": entry(offsets=(12, 20))},
    "many axes": {"a": entry(shape=(1,) * 1000 + (2,))},
    "not a table": {"a": 3},
    "list": [],
    "metadata not text": {"__metadata__": {"a": 3}, "a": entry()},
    "not UTF-8": b'{"\xff\xfe": 1}',
    "deep JSON": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long number": b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,8]}}',
    "twice the same name": b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}}',
    "empty": {},
}


@pytest.mark.parametrize("case", list(HEADERS))
def test_wrong_safetensors_headers(tmp_path, case):
    write_safetensors(tmp_path / "a.safetensors", HEADERS[case], bytes(16))
    with pytest.raises(InputError, match=r"a\.safetensors"):
        open_tensors(tmp_path / "a.safetensors")


@pytest.mark.parametrize("length", [0, 1 << 20, (16 << 20) + 1, (1 << 64) - 1])
def test_wrong_header_length(tmp_path, length):
    write_safetensors(tmp_path / "a.safetensors", {"a": entry()}, bytes(8), length=length)
    with pytest.raises(InputError, match=r"a\.safetensors"):
        open_tensors(tmp_path / "a.safetensors")


def grown_by(action) -> int:
    """Bytes by which ``action`` raised this process's memory at its highest; 0 where the system does not tell."""

    def status(field: str) -> int:
        return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

    if not Path("/proc/self/clear_refs").exists():
        action()
        return 0
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
    before = status("VmRSS")
    action()
    return status("VmHWM") - before


def repack(path, change):
    """Rewrite a zip archive with ``change(name, content) -> (content, compression)``."""
    with zipfile.ZipFile(path) as archive:
        entries = [(item.filename, archive.read(item)) for item in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            content, compression = change(name, content)
            archive.writestr(name, content, compression)


def test_zip_bombs_are_not_unpacked(tmp_path):
    torch.save({"w": torch.zeros(4)}, tmp_path / "data.pth")
    shutil.copy(tmp_path / "data.pth", tmp_path / "pickle.pth")
    for name, inside in (("data.pth", "data/0"), ("pickle.pth", "data.pkl")):
        repack(tmp_path / name, lambda n, c, i=inside: (bytes(BOMB), zipfile.ZIP_DEFLATED) if n.endswith(i) else (c, 0))
        assert (tmp_path / name).stat().st_size < 1 << 20

        def attempt(path=tmp_path / name):
            with pytest.raises(InputError, match="compressed entries"):
                open_tensors(path)

        assert grown_by(attempt) < MEMORY


def tensor_pickle(shape, stride, numel, offset=0):
    """A pickle of {"w": tensor} over storage 0, protocol 2, as torch.save writes it."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if isinstance(value, Storage) else None

    class Tensor:
        def __reduce__(self):
            rebuild = torch._utils._rebuild_tensor_v2
            return rebuild, (Storage(), offset, shape, stride, False, {})

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({"w": Tensor()})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        ((1 << 40,), (1,), 0),
        ((1 << 20, 1 << 20), (0, 0), 0),
        ((1 << 62, 1 << 62), (1, 1), 0),
        ((4,), (1 << 40,), 0),
        ((4,), (1,), 1),
        ((4,), (1,), -1),
        ((4,), (-1,), 0),
        ((-4,), (1,), 0),
        ((4,), (1, 1), 0),
        (("4",), (1,), 0),
        ((True,) * 3, (1,) * 3, 1 << 62),
    ],
)
def test_tensors_larger_than_their_storage(tmp_path, shape, stride, offset):
    path = tmp_path / "a.pth"
    torch.save({"w": torch.zeros(4)}, path)
    content = tensor_pickle(shape, stride, 4, offset)
    repack(path, lambda name, old: (content if name.endswith("data.pkl") else old, 0))

    def attempt():
        with pytest.raises(InputError, match=r"a\.pth"):
            open_tensors(path)

    assert grown_by(attempt) < MEMORY


def test_many_names_for_one_storage(tmp_path):
    """A file of 4 MB that would become 40 GB when converted."""
    path, tensor = tmp_path / "a.pth", torch.zeros(1 << 20)
    torch.save({f"blocks.{i}.ffn.0.weight": tensor for i in range(10_000)}, path)
    with pytest.raises(InputError, match="declares"):
        open_tensors(path)


def test_legacy_storage_of_an_exabyte(tmp_path, originals):
    data = originals["legacy.pth"]
    # The first storage's element count is 12, little endian, right before its data 0.0, 1.0, ...
    start = data.index(struct.pack("<Q3f", 12, 0.0, 1.0, 2.0))
    for count in (13, 1 << 30, 1 << 60, (1 << 64) - 1):
        (tmp_path / "legacy.pth").write_bytes(data[:start] + struct.pack("<Q", count) + data[start + 8 :])
        with pytest.raises(InputError, match="truncated or damaged"):
            open_tensors(tmp_path / "legacy.pth")


def test_zip_with_a_huge_directory_or_entries_twice(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    torch.save({"w": torch.zeros(4)}, path)
    with monkeypatch.context() as patch, pytest.raises(InputError, match="directory at the end"):
        patch.setattr(torch_files, "DIRECTORY_BYTES", 100)
        open_tensors(path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a/data/0", b"x")
    with pytest.raises(InputError, match="an entry twice"):
        open_tensors(path)


@pytest.mark.parametrize("content", ["other", "torchscript"])
def test_zips_that_are_no_checkpoints(tmp_path, content):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
        if content == "torchscript":
            archive.writestr("a/data.pkl", b"\x80\x02}.")
            archive.writestr("a/constants.pkl", b"\x80\x02).")
    with pytest.raises(InputError, match="TorchScript" if content == "torchscript" else "not a PyTorch checkpoint"):
        open_tensors(path)


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_damaged_distributed_folders(tmp_path):
    import torch.distributed.checkpoint as dcp

    dcp.save({"net": {k: v.contiguous() for k, v in TENSORS.items()}}, checkpoint_id=tmp_path / "s")
    stream = random.Random(0)
    for name in (".metadata", "__0_0.distcp"):
        path = tmp_path / "s" / name
        data = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(data)
            damaged[stream.randrange(len(data))] ^= 1 << stream.randrange(8)
            path.write_bytes(damaged)
            read_all(tmp_path / "s")
        for length in range(0, len(data), max(1, len(data) // 25)):
            path.write_bytes(data[:length])
            assert not read_all(tmp_path / "s")
        path.write_bytes(data)
    assert read_all(tmp_path / "s")


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_distributed_metadata_cannot_point_outside_its_folder(tmp_path):
    import torch.distributed.checkpoint as dcp

    dcp.save({"w": torch.ones(2)}, checkpoint_id=tmp_path / "s")
    shutil.copy(tmp_path / "s" / "__0_0.distcp", tmp_path / "0_0.distcp")
    metadata = tmp_path / "s" / ".metadata"
    metadata.write_bytes(metadata.read_bytes().replace(b"__0_0.distcp", b"../0_0.distcp"[:12]))
    os.unlink(tmp_path / "s" / "__0_0.distcp")
    with pytest.raises(InputError, match=r"missing or too short|damaged|truncated"):
        open_tensors(tmp_path / "s")


def test_quantisation_metadata_that_lies(write):
    fp8 = torch.ones(4, 4).to(torch.float8_e4m3fn)
    name = "blocks.0.ffn.0"
    for extra, metadata in (
        ({f"{name}.weight_scale": torch.ones(3)}, None),
        ({"other.weight_scale": torch.ones(())}, None),
        ({f"{name}.comfy_quant": torch.zeros(4, dtype=torch.uint8)}, None),
        ({f"{name}.comfy_quant": torch.zeros(4)}, None),
        ({}, {"_quantization_metadata": "{"}),
        ({}, {"_quantization_metadata": '{"layers": []}'}),
        ({}, {"_quantization_metadata": '{"layers": {"a": 3}}'}),
    ):
        path = write({f"{name}.weight": fp8} | extra, metadata=metadata)
        with pytest.raises(InputError, match=r"a\.safetensors"):
            open_checkpoint(path)


def test_metadata_that_asks_for_a_giant_network(write):
    own = json.dumps({"kind": "student", "config": {"num_layers": 10**9, "num_heads": 2}})
    with pytest.raises(InputError, match="says of itself"):
        open_checkpoint(write(samples.student(), metadata={"lipforcing": own}))
    far = {name.replace("blocks.3.", "blocks.999999."): tensor for name, tensor in samples.student().items()}
    found = inspect(write(far))
    assert not found.complete and found.config["num_layers"] == 4
