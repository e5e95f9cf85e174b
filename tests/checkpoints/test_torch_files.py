"""Files of ``torch.save``, zipped and old, give back what was saved."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from lipforcing.checkpoints.files import open_tensors

from .samples import check


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_keep_values_shapes_and_strides(tmp_path, tensors, zipped):
    torch.save(tensors, tmp_path / "a.bin", _use_new_zipfile_serialization=zipped)
    check(tmp_path / "a.bin", tensors, "torch zip" if zipped else "torch legacy")


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
