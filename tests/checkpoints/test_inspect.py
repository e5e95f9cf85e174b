"""What ``lipforcing inspect`` says."""

from __future__ import annotations

import json

import torch

from lipforcing.checkpoints import convert, inspect

from . import samples


def test_student(write, tmp_path):
    path = write({f"_core.{name}": tensor for name, tensor in samples.student().items()})
    found = inspect(path)
    assert found.kind == "student" and found.complete and found.checked
    assert found.layout == "prefix _core." and found.format == "safetensors"
    assert found.parameters == sum(tensor.numel() for tensor in samples.student().values())
    assert found.dtypes == {"float32": found.parameters} and found.size == path.stat().st_size
    assert found.config["num_layers"] == 4
    quantised = inspect(convert(path, tmp_path / "q.safetensors", "fp8_e4m3fn"))
    assert quantised.complete and quantised.parameters == found.parameters
    assert set(quantised.dtypes) == {"float8_e4m3fn", "bfloat16"} and quantised.schedule == (0.999, 0.769, 0.0)


def test_differences_are_listed(write):
    tensors = samples.student() | {"surprise": torch.ones(1), "head.modulation": torch.ones(1, 3, 128)}
    del tensors["blocks.1.modulation"]
    found = inspect(write(tensors))
    assert found.missing == ("blocks.1.modulation",) and found.unexpected == ("surprise",) and not found.complete
    assert found.misshapen == {"head.modulation": [[1, 3, 128], [1, 2, 128]]}
    text = found.to_text()
    for part in ("kind:          student", "missing:       1: blocks.1.modulation", "complete:      no"):
        assert part in text


def test_json_round_trip(write):
    found = inspect(write(samples.wan_vae()))
    table = json.loads(found.to_json())
    assert table["kind"] == "wan_vae" and table["complete"] is True and table["tensors"] == len(samples.wan_vae())


def test_unknown_file_is_described_not_refused(write):
    found = inspect(write({"a": torch.ones(2, dtype=torch.int32)}))
    assert found.kind == "unknown" and not found.complete and not found.checked
    assert "its tensors are 'a'" in found.to_text()
    assert inspect(write({"empty": torch.ones(0)})).to_text()
