"""Headers of safetensors, as the library reads and writes them."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lipforcing.checkpoints.safetensors_header import DTYPES, build_header, looks_like_safetensors, read_header
from lipforcing.checkpoints.sources import Spec
from lipforcing.checkpoints.storage import File
from lipforcing.errors import InputError

SPECS = {"b": Spec((2, 3), torch.bfloat16), "a": Spec((), torch.float64), "c": Spec((0, 5), torch.float32)}


def write(path, specs, metadata):
    header, offsets = build_header(specs, metadata)
    path.write_bytes(header + bytes(sum(spec.nbytes for spec in specs.values())))
    return header, offsets


def test_the_library_reads_what_is_built(tmp_path):
    header, offsets = write(tmp_path / "a.safetensors", SPECS, {"kind": "student"})
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"kind": "student"} and sorted(file.keys()) == ["a", "b", "c"]
        found = {name: Spec(tuple(file.get_tensor(name).shape), file.get_tensor(name).dtype) for name in "abc"}
    assert found == SPECS
    assert len(header) % 8 == 0 and all(offsets[name] % SPECS[name].dtype.itemsize == 0 for name in SPECS)


def test_what_is_built_is_read(tmp_path):
    _, offsets = write(tmp_path / "a.safetensors", SPECS, {"k": "v"})
    tensors, metadata = read_header(File(tmp_path / "a.safetensors"))
    assert metadata == {"k": "v"} and {name: stored.spec for name, stored in tensors.items()} == SPECS
    assert {name: stored.offset for name, stored in tensors.items()} == offsets


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_every_dtype_of_the_library(tmp_path, dtype):
    save_file({"w": torch.zeros(3, dtype=dtype)}, tmp_path / "a.safetensors")
    tensors, _ = read_header(File(tmp_path / "a.safetensors"))
    assert tensors["w"].spec == Spec((3,), dtype)


def test_a_header_is_known_by_its_brace_and_a_short_file_by_its_header(tmp_path):
    header, _ = write(tmp_path / "a.safetensors", SPECS, {})
    assert looks_like_safetensors(header[:9]) and not looks_like_safetensors(b"PK\x03\x04" + bytes(9))
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data[:-1])
    with pytest.raises(InputError, match=r"truncated: .*1 bytes are missing"):
        read_header(File(tmp_path / "a.safetensors"))
