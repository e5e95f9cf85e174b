"""Incomplete downloads are known by their beginning."""

from __future__ import annotations

import os
import struct

import pytest
import torch
from safetensors.torch import save_file

from lipforcing.checkpoints import Kind, open_checkpoint
from lipforcing.checkpoints.files import open_tensors
from lipforcing.checkpoints.released import RELEASES
from lipforcing.checkpoints.safetensors_header import build_header
from lipforcing.checkpoints.sources import Spec
from lipforcing.errors import InputError

STUDENT = RELEASES[0]


def message(path) -> str:
    with pytest.raises(InputError) as error:
        open_tensors(path)
    return str(error.value)


def test_the_released_student_is_as_large_as_its_row(released):
    path = released()
    assert abs(path.stat().st_size - STUDENT.nbytes) < 100_000  # other versions of torch add little entries
    assert open_checkpoint(path, Kind.STUDENT).describe() == "a Lip Forcing student (14B)"


@pytest.mark.parametrize("name", ["lipforcing_14b.pth", "Unconfirmed 4711.crdownload"])
def test_an_incomplete_student_is_named_by_its_content(released, name):
    path = released(name)
    os.truncate(path, 21_300_000_000)
    assert message(path) == (
        f"{name} is truncated: 21.3 of 28.6 GB of lipforcing_14b.pth (the Lip Forcing student, 14B), "
        "7,288,528,943 bytes are missing: the download is incomplete; continue it, or copy or download the file again"
    )
    os.truncate(path, STUDENT.nbytes - 1000)  # within the list of entries at the end
    assert "28.6 of 28.6 GB of lipforcing_14b.pth" in message(path) and "1,000 bytes are missing" in message(path)


def test_an_allocated_download_without_its_end_is_damaged(released):
    path = released("student.pth")
    os.truncate(path, STUDENT.nbytes - 1_000_000)
    os.truncate(path, STUDENT.nbytes + 200_000)
    assert "directory at the end of the zip archive cannot be read" in message(path)


def test_another_file_with_the_students_tensors_is_not_called_so(released):
    path = released("lipforcing_14b.pth", lambda tensors: {"net": tensors, "more": torch.zeros(3 << 20)})
    os.truncate(path, 21_300_000_000)
    assert "21.3 of 28.6 GB, " in message(path) and " of lipforcing_14b.pth" not in message(path)


def test_safetensors_of_real_size(tmp_path, student_shapes):
    specs = {key: Spec(tuple(shape), torch.bfloat16) for key, shape in student_shapes.items()}
    path = tmp_path / "student.safetensors"
    path.write_bytes(build_header(specs, {})[0])
    os.truncate(path, 21_300_000_000)
    assert "student.safetensors is truncated: 21.3 of 28.6 GB, " in message(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_small_torch_files(tmp_path, zipped):
    path = tmp_path / "a.pth"
    torch.save({"w": torch.zeros(1_000_000)}, path, _use_new_zipfile_serialization=zipped)
    os.truncate(path, 1_500_000)
    assert "a.pth is truncated: 1.5 of 4.0 MB, " in message(path)


def test_a_published_safetensors_file_is_named(tmp_path):
    header = {"w": Spec((377_607_901 - 1024,), torch.uint8)}
    text, _ = build_header(header, {})
    text = struct.pack("<Q", 1016) + text[8:].ljust(1016)
    path = tmp_path / "model.safetensors.part"
    path.write_bytes(text + bytes(1000))
    assert "0.0 of 377.6 MB of model.safetensors (wav2vec2-base-960h), 377,605,877 bytes" in message(path)


def test_where_the_beginning_says_nothing_the_name_words_the_message(tmp_path):
    torch.save({"w": torch.zeros(1000)}, tmp_path / "whole.pth")
    save_file({"w": torch.zeros(1000)}, tmp_path / "whole.safetensors")
    for whole in (tmp_path / "whole.pth", tmp_path / "whole.safetensors"):
        path = tmp_path / "lipforcing_14b.pth"
        path.write_bytes(whole.read_bytes()[:60])  # within the pickle, within the header
        assert "(0.0 of 28.6 GB if it is the Lip Forcing student, 14B)" in message(path)
        path.rename(tmp_path / "other.pth")
        assert "14B" not in message(tmp_path / "other.pth")
        path.write_bytes(whole.read_bytes())  # complete: the name decides nothing
        assert set(open_tensors(path)) == {"w"}
