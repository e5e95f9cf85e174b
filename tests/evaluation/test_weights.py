"""Weights of measuring networks: any container, nothing run."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from lipforcing.errors import InputError
from lipforcing.evaluation.weights import read_state


def test_any_container_is_read(tmp_path):
    state = {"a.weight": torch.arange(6.0).view(2, 3)}
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        found = read_state(tmp_path / name, "a network")
        assert found.keys() == state.keys() and torch.equal(found["a.weight"], state["a.weight"])


def test_what_is_wanted_is_named(tmp_path):
    torch.save({"w": torch.zeros(1), "code": print}, tmp_path / "code.pth")
    for name, said in (("code.pth", "asks to run"), ("none.pth", "does not exist")):
        with pytest.raises(InputError, match=rf"{name} holds no weights .*{said}.*give the right one"):
            read_state(tmp_path / name, "the right one")
