"""Eight-bit weights with a scale per layer: what they mean, and what they are stored as."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints import Kind, load_module
from lipforcing.checkpoints.quantization import FP8, Dequantised, is_quantisable, quantise, scale_of
from lipforcing.checkpoints.sources import InMemory
from lipforcing.errors import InputError

from . import samples

LAYER = "blocks.0.ffn.0"


def test_host_formats_that_only_the_host_reads(write):
    meta = {"_quantization_metadata": '{"layers": {"blocks.0.ffn.0": {"format": "nvfp4"}}}'}
    with pytest.raises(InputError, match="quantised as nvfp4"):
        load_module(write(samples.student(), metadata=meta), Kind.STUDENT)


def int8_student(entry: bytes | None, scale: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """A student with one layer in int8, its rows 1, 2, 3, ... times the unit (modulo 100), described by `entry`."""
    tensors = samples.student()
    rows = torch.arange(96)[:, None] % 100 + 1
    tensors[f"{LAYER}.weight"] = rows.expand(96, 128).to(torch.int8).clone()
    if scale is not None:
        tensors[f"{LAYER}.weight_scale"] = scale
    if entry is not None:
        tensors[f"{LAYER}.comfy_quant"] = torch.tensor([*entry], dtype=torch.uint8)
    return tensors


ROWS = torch.arange(1.0, 97.0) / 4


@pytest.mark.parametrize("scale", [torch.tensor(0.25), torch.full((1,), 0.25), ROWS[:, None], ROWS], ids=str)
def test_int8_as_the_host_writes_it(write, scale):
    network, _ = load_module(write(int8_student(b'{"format": "int8_tensorwise"}', scale)), Kind.STUDENT)
    expected = (torch.arange(1.0, 97.0) * scale.flatten()).to(torch.bfloat16).float()
    assert torch.equal(network.blocks[0].ffn[0].weight, expected[:, None].expand(96, 128))


@pytest.mark.parametrize(
    ("entry", "scale", "words"),
    [
        (None, None, "quantised as int8,"),
        (None, torch.ones(1), "quantised as int8,"),
        (b'{"format": "int8_tensorwise"}', None, "quantised as int8,"),
        (b'{"format": "int8_tensorwise", "convrot": true}', torch.ones(96, 1), "int8_tensorwise with convrot"),
        (b'{"format": "int8_tensorwise"}', torch.ones(95, 1), "not of 8 bits with one scale"),
    ],
    ids=["bare", "not announced", "without scale", "rotated", "scales of other rows"],
)
def test_int8_that_says_too_little_is_refused_and_not_taken_for_numbers(write, entry, scale, words):
    with pytest.raises(InputError, match=words):
        load_module(write(int8_student(entry, scale)), Kind.STUDENT)


def test_old_scaled_float8(write):
    name = "blocks.0.ffn.0"
    tensors = samples.student() | {"scaled_fp8": torch.zeros(2), f"{name}.scale_weight": torch.tensor(0.5)}
    tensors[f"{name}.weight"] = torch.ones(96, 128).to(torch.float8_e4m3fn)
    network, _ = load_module(write(tensors), Kind.STUDENT)
    assert (network.blocks[0].ffn[0].weight == 0.5).all()


def test_the_large_matrices_of_blocks_are_quantised_and_nothing_else():
    names = set(samples.student())
    chosen = {name for name in names if is_quantisable(name)}
    assert len(chosen) == 10 * samples.WAN.num_layers and f"{LAYER}.weight" in chosen
    assert not any(word in name for name in chosen for word in ("norm", "modulation", "bias", "audio", "embedding"))


def test_the_largest_magnitude_becomes_the_largest_float8():
    blocks = [torch.tensor([1.0, -8.96]), torch.tensor([0.5])]
    scale = scale_of(blocks, "a")
    assert scale == pytest.approx(8.96 / 448)
    assert quantise(blocks[0], scale).float().tolist() == pytest.approx([48.0, -448.0])  # 50 lies between 48 and 52
    assert scale_of([torch.zeros(3), torch.zeros(0)], "a") == 1.0
    with pytest.raises(InputError, match="a has values that are not finite"):
        scale_of([torch.tensor([1.0, float("nan")])], "a")


def test_scales_are_multiplied_out_and_gone():
    stored = {
        f"{LAYER}.weight": torch.tensor([[1.0, -2.0]]).to(FP8),
        f"{LAYER}.weight_scale": torch.tensor(0.25),
        f"{LAYER}.input_scale": torch.tensor(3.0),
        "blocks.0.ffn.2.weight": torch.tensor([[4.0]]).to(FP8),
        "head.bias": torch.tensor([1.5]),
    }
    found = Dequantised(InMemory(stored))
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        f"{LAYER}.weight": [[0.25, -0.5]],
        "blocks.0.ffn.2.weight": [[4.0]],
        "head.bias": [1.5],
    }
    assert f"{LAYER}.weight_scale" not in found and len(found) == 3
    assert found.dtypes[f"{LAYER}.weight"] == torch.bfloat16 and found.dtypes["head.bias"] == torch.float32
    with pytest.raises(InputError, match="is not of 8 bits with one scale"):
        Dequantised(InMemory({**stored, f"{LAYER}.weight": torch.ones(1, 2)}))
