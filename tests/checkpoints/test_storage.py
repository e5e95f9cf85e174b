"""Tensors in files: mapped once, read in pieces, at any stride and alignment."""

from __future__ import annotations

import json
import struct
import warnings

import pytest
import torch
from safetensors.torch import save_file

from lipforcing.checkpoints.files import open_tensors
from lipforcing.checkpoints.sources import Spec
from lipforcing.checkpoints.storage import File, Sharded, Stored, contiguous
from lipforcing.errors import InputError


@pytest.fixture
def file(tmp_path):
    """64 numbers in float32 behind one odd byte."""
    path = tmp_path / "numbers"
    path.write_bytes(b"x" + torch.arange(64.0).numpy().tobytes())
    return File(path)


@pytest.fixture
def refused(monkeypatch):
    """A system that does not promise memory for a writable map."""

    def refuse(*_):
        raise RuntimeError("unable to mmap 28588528943 bytes from file <x>: Cannot allocate memory (12)")

    monkeypatch.setattr(torch.UntypedStorage, "from_file", refuse)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (4, 3, 2), (0, 3)])
def test_contiguous_strides(shape):
    assert contiguous(shape) == torch.zeros(shape).contiguous().stride()


@pytest.mark.parametrize("offset", [0, 1, 5, 9])
@pytest.mark.parametrize(("shape", "stride"), [((6, 5), (5, 1)), ((6, 5), (1, 6)), ((3, 2), (8, 3)), ((6,), (7,))])
def test_views_of_all_kinds(file, offset, shape, stride):
    everything = torch.frombuffer(bytearray(file.path.read_bytes())[offset : offset + 224], dtype=torch.float32)
    expected = everything.as_strided(shape, stride)
    stored = Stored(file, offset, Spec(shape, torch.float32), stride)
    mapped = stored.map()
    assert torch.equal(mapped, expected) and mapped.stride() == stride and mapped.data_ptr() % 4 == 0
    for start in range(shape[0] + 1):
        rows = stored.rows(start, shape[0])
        assert torch.equal(rows, expected[start:]) and rows.is_contiguous()


def test_a_scalar_and_nothing(file):
    scalar, nothing = (Stored(file, 9, Spec(shape, torch.float32), contiguous(shape)) for shape in ((), (0, 4)))
    assert scalar.map() == scalar.rows(0, 1) == 2 and scalar.rows(0, 1).shape == ()
    assert nothing.map().shape == nothing.rows(0, 0).shape == (0, 4)


def test_all_tensors_share_one_map(tmp_path):
    save_file({name: torch.ones(8) for name in "abc"}, tmp_path / "a.safetensors")
    file = open_tensors(tmp_path / "a.safetensors")
    tensors = [file[name] for name in "abca"]
    assert [tensor.data_ptr() - tensors[0].data_ptr() for tensor in tensors] == [0, 32, 64, 0]
    assert all(tensor.untyped_storage().nbytes() == 32 for tensor in tensors)  # saving one does not save all


def test_writing_to_a_mapped_tensor_leaves_the_file_alone(tmp_path):
    save_file({"w": torch.zeros(1000)}, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    mapped = open_tensors(tmp_path / "a.safetensors")["w"]
    mapped += 1
    assert mapped.sum() == 1000
    assert (tmp_path / "a.safetensors").read_bytes() == before


@pytest.mark.usefixtures("refused")
def test_a_system_that_refuses_writable_pages_gives_some_to_read(tmp_path):
    tensors = {"w": torch.randn(50, 20), "b": torch.arange(7)}
    torch.save(tensors, tmp_path / "a.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapped = dict(open_tensors(tmp_path / "a.pth"))
    assert all(torch.equal(mapped[name], tensors[name]) for name in tensors)


def test_unaligned_safetensors(tmp_path):
    text = json.dumps({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode()
    text += b" " * (2 - len(text) % 2 + 1)
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + torch.arange(3.0).numpy().tobytes())
    assert (path.stat().st_size - 12) % 2 == 1
    file = open_tensors(path)
    assert torch.equal(file["w"], torch.arange(3.0)) and torch.equal(file.rows("w", 1, 3), torch.arange(1.0, 3.0))


@pytest.mark.parametrize("refusing", [False, True])
def test_a_file_that_shrinks_meanwhile(tmp_path, request, refusing):
    save_file({"w": torch.zeros(1000)}, tmp_path / "a.safetensors")
    file = open_tensors(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes(b"")
    if refusing:
        request.getfixturevalue("refused")
    for access in (lambda: file["w"], lambda: file.rows("w", 0, 1000)):
        with pytest.raises(InputError, match="became shorter"):
            access()


def test_distributed_pieces_are_put_together(tmp_path):
    whole = torch.arange(30.0).view(6, 5)
    corners = {(0, 0): whole[:4, :3], (0, 3): whole[:4, 3:], (4, 0): whole[4:]}
    pieces = []
    for i, (corner, part) in enumerate(corners.items()):
        (tmp_path / f"{i}").write_bytes(part.contiguous().numpy().tobytes())
        shape = tuple(part.shape)
        pieces.append((corner, Stored(File(tmp_path / f"{i}"), 0, Spec(shape, torch.float32), contiguous(shape))))
    sharded = Sharded(Spec((6, 5), torch.float32), pieces)
    assert torch.equal(sharded.map(), whole)
    assert torch.equal(sharded.rows(3, 5), whole[3:5])
