"""An opened checkpoint: what it is, under official names, still quantised and multiplied out."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints import Kind, load_module, open_checkpoint
from lipforcing.errors import InputError

from . import samples


def test_unmerged_training_checkpoint_is_merged(tmp_path):
    lora = {name: tensor for name, tensor in samples.adapter(suffix=".default").items() if "lora" in name}
    torch.save({f"_core.{name}": tensor for name, tensor in (samples.student() | lora).items()}, tmp_path / "s.pth")
    network, _ = load_module(tmp_path / "s.pth", Kind.STUDENT)
    pair = [lora[f"blocks.0.ffn.0.lora_{half}.default.weight"] for half in "BA"]
    expected = samples.student()["blocks.0.ffn.0.weight"] + 0.5 * pair[0] @ pair[1]
    assert torch.allclose(network.blocks[0].ffn[0].weight, expected, atol=1e-5)


def test_a_files_own_names_stay_beside_the_official_ones(tmp_path):
    path = tmp_path / "s.pth"
    torch.save({"net": {f"_core.{name}": tensor for name, tensor in samples.student().items()}}, path)
    checkpoint = open_checkpoint(path)
    assert checkpoint.kind is Kind.STUDENT and checkpoint.config == samples.WAN and checkpoint.schedule is None
    assert checkpoint.describe() == "a Lip Forcing student (width 128)"
    assert "net._core.head.modulation" in checkpoint.file and "head.modulation" in checkpoint.weights
    assert checkpoint.layout.prefix == "net._core."


def test_float8_is_stored_as_it_is_and_given_multiplied_out(write):
    name = "blocks.0.ffn.0.weight"
    tensors = samples.student() | {f"{name}_scale": torch.tensor(2.0)}
    tensors[name] = torch.ones(96, 128).to(torch.float8_e4m3fn)
    checkpoint = open_checkpoint(write(tensors))
    assert checkpoint.stored.spec(name).dtype == torch.float8_e4m3fn and f"{name}_scale" in checkpoint.stored
    assert (checkpoint.weights[name] == 2).all() and f"{name}_scale" not in checkpoint.weights


def test_another_kind_than_expected_is_named(write):
    with pytest.raises(InputError, match=r"a.safetensors is a SyncNet; expected a Wan 2.1 VAE or a TAEHV.*: choose"):
        open_checkpoint(write(samples.syncnet()), Kind.WAN_VAE, Kind.TAEHV)
    with pytest.raises(InputError, match=r"a LoRA adapter.*merge it with its base model first"):
        open_checkpoint(write(samples.adapter()), Kind.STUDENT)
