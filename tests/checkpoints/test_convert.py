"""Conversion and merging to files."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lipforcing.checkpoints import Kind, convert, inspect, load_module, merge, open_checkpoint
from lipforcing.checkpoints.configs import OwnMetadata
from lipforcing.checkpoints.convert import write_weights
from lipforcing.checkpoints.sources import InMemory
from lipforcing.errors import InputError

from . import samples


@pytest.fixture
def student_file(tmp_path):
    path = tmp_path / "student.pth"
    torch.save({"net": {f"_core.{name}": tensor for name, tensor in samples.student().items()}}, path)
    return path


@pytest.mark.parametrize(
    ("dtype", "torch_dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16), (None, torch.float32)]
)
def test_values_names_and_metadata(student_file, tmp_path, dtype, torch_dtype):
    out = convert(student_file, tmp_path / "out.safetensors", dtype)
    written = load_file(out)
    expected = samples.student()
    assert set(written) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(written[name], tensor.to(torch_dtype)), name
    checkpoint = open_checkpoint(out)
    assert checkpoint.kind is Kind.STUDENT and checkpoint.config == samples.WAN
    assert checkpoint.schedule == (0.999, 0.769, 0.0)
    assert not list(tmp_path.glob("*.partial"))


def test_float8_has_the_hosts_format(student_file, tmp_path):
    out = convert(student_file, tmp_path / "out.safetensors", "fp8_e4m3fn")
    written, expected = load_file(out), samples.student()
    with safe_open(out, "pt") as file:
        layers = json.loads(file.metadata()["_quantization_metadata"])
    assert layers["format_version"] == "1.0"
    assert len(layers["layers"]) == 10 * samples.WAN.num_layers
    for layer, entry in layers["layers"].items():
        weight, scale = written[f"{layer}.weight"], written[f"{layer}.weight_scale"]
        assert entry == {"format": "float8_e4m3fn"}
        assert weight.dtype == torch.float8_e4m3fn and scale.dtype == torch.float32 and scale.shape == ()
        original = expected[f"{layer}.weight"]
        assert torch.isclose(scale, original.abs().max() / 448)
        # Three mantissa bits: an error of at most a sixteenth of the value, or half the smallest step.
        error = (weight.float() * scale - original).abs()
        assert (error <= original.abs() / 16 + scale * 2**-10).all()
        assert written[f"{layer}.bias"].dtype == torch.bfloat16
    quantised = {f"{layer}.weight" for layer in layers["layers"]}
    for name in expected.keys() - quantised:
        assert written[name].dtype == torch.bfloat16, name
    for part in ("norm", "modulation", "embedding", "head.", "audio", "time_projection"):
        assert not any(part in name for name in quantised)


def test_float8_loads_into_our_network_and_converts_back(student_file, tmp_path):
    out = convert(student_file, tmp_path / "f8.safetensors", "fp8_e4m3fn")
    network, _ = load_module(out, Kind.STUDENT)
    name = "blocks.0.self_attn.q.weight"
    weight, raw = network.get_parameter(name), load_file(out)
    assert weight.dtype == torch.bfloat16
    assert torch.equal(weight, (raw[name].float() * raw[name + "_scale"]).bfloat16())
    back = load_file(convert(out, tmp_path / "back.safetensors", "bf16"))
    assert torch.equal(back[name], weight) and set(back) == set(samples.student())


def test_zero_weight_quantises_to_zero(tmp_path):
    tensors = samples.student() | {"blocks.0.self_attn.q.weight": torch.zeros(128, 128)}
    out = write_weights(InMemory(tensors), tmp_path / "a.safetensors", "fp8_e4m3fn")
    assert load_file(out)["blocks.0.self_attn.q.weight"].float().abs().sum() == 0


def test_values_that_do_not_fit_are_refused(tmp_path):
    name = "blocks.0.self_attn.q.weight"
    large = samples.student() | {name: torch.full((128, 128), 1e6)}
    with pytest.raises(InputError, match=f"{name} has values beyond the range of fp16"):
        write_weights(InMemory(large), tmp_path / "a.safetensors", "fp16")
    for bad in (float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"{name} has values that are not finite"):
            write_weights(
                InMemory(large | {name: torch.full((128, 128), bad)}), tmp_path / "a.safetensors", "fp8_e4m3fn"
            )
    assert not list(tmp_path.iterdir())


def test_other_kinds_convert_too(write, tmp_path):
    source = write({f"model.{name}": tensor for name, tensor in samples.wan_vae().items()}, "vae.pth")
    written = load_file(convert(source, tmp_path / "vae.safetensors", "bf16"))
    assert set(written) == set(samples.wan_vae())
    with pytest.raises(InputError, match="no transformer blocks to store in float8"):
        convert(source, tmp_path / "f8.safetensors", "fp8_e4m3fn")
    with pytest.raises(InputError, match="'int4' is not known; choose one of bf16"):
        convert(source, tmp_path / "x.safetensors", "int4")


def test_integers_stay_integers(tmp_path):
    out = write_weights(InMemory({"a": torch.arange(3), "b": torch.ones(2)}), tmp_path / "a.safetensors", "bf16")
    assert {name: tensor.dtype for name, tensor in load_file(out).items()} == {"a": torch.int64, "b": torch.bfloat16}


def test_incomplete_and_unknown_sources_are_refused(write, tmp_path):
    tensors = samples.student()
    del tensors["blocks.2.norm3.bias"]
    with pytest.raises(InputError, match=r"a Lip Forcing student .*missing: blocks.2.norm3.bias"):
        convert(write(tensors), tmp_path / "o.safetensors")
    with pytest.raises(InputError, match="an unknown file"):
        convert(write({"x": torch.ones(1)}, "x.safetensors"), tmp_path / "o.safetensors")
    assert not (tmp_path / "o.safetensors").exists()


def test_progress_counts_to_the_end(student_file, tmp_path):
    calls = []
    convert(student_file, tmp_path / "o.safetensors", "fp8_e4m3fn", lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] and [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][1] < (tmp_path / "o.safetensors").stat().st_size


def test_an_input_is_never_replaced(write, tmp_path):
    """The only copy of a model, a file of the folder that is read, an adapter where the result's name is left out."""
    path = write(samples.student())
    base, first, second = (
        write(tensors, name)
        for tensors, name in (
            (samples.wan_base(), "base.safetensors"),
            (samples.adapter(2), "teacher.pt"),
            (samples.adapter(3), "delta.pt"),
        )
    )
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for call in (
        lambda: convert(path, path, "bf16"),
        lambda: convert(tmp_path, second),
        lambda: merge(base, first, base),
        lambda: merge(base, [first], second),
        lambda: merge(base, [first, second], second),
    ):
        with pytest.raises(InputError, match=r"is an (input itself|adapter); "):
            call()
        assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("schedule", [(0.999, 0.769), (float("nan"), 0.0), (0.5, 0.9, 0.0), (1.5, 0.0), (0.0,)])
def test_a_schedule_that_is_none_is_refused_at_every_door(student_file, tmp_path, schedule):
    with pytest.raises(InputError, match=r"such as 0\.999, 0\.769, 0"):
        convert(student_file, tmp_path / "a.safetensors", schedule=schedule)
    assert not (tmp_path / "a.safetensors").exists()
    about = OwnMetadata(Kind.STUDENT.value, schedule=schedule)
    path = write_weights(InMemory(samples.student()), tmp_path / "b.safetensors", own=about)
    with pytest.raises(InputError, match=r"b\.safetensors is .* such as 0\.999, 0\.769, 0"):
        open_checkpoint(path)


def test_merge_writes_a_teacher(write, tmp_path):
    base = write({f"model.diffusion_model.{k}": v for k, v in samples.wan_base().items()}, "base.safetensors")
    adapter = tmp_path / "omniavatar.pt"
    torch.save(samples.adapter(suffix=".default"), adapter)
    out = merge(base, adapter, tmp_path / "teacher.safetensors", dtype="fp32")
    written, name = load_file(out), "blocks.3.cross_attn.o.weight"
    pair = [samples.adapter()[name.replace(".weight", f".lora_{half}.weight")] for half in "BA"]
    assert torch.allclose(written[name], samples.wan_base()[name] + 0.5 * pair[0] @ pair[1], atol=1e-5)
    assert torch.equal(written["audio_proj.proj.bias"], samples.adapter()["audio_proj.proj.bias"])
    found = inspect(out)
    assert found.kind == "teacher" and found.complete
    with pytest.raises(InputError, match=r"a bidirectional teacher .* expected a Lip Forcing student"):
        load_module(out, Kind.STUDENT)


def test_delta_over_adapter_gives_a_student(write, tmp_path):
    base = write(samples.wan_base(), "base.safetensors")
    teacher = write(samples.adapter(2), "teacher.pt")
    delta = write({f"net._core.{k}": v for k, v in samples.adapter(3, ".default").items()}, "delta.pt")
    out = merge(base, [teacher, delta], tmp_path / "s.safetensors", dtype="fp32", kind=Kind.STUDENT)
    alone = merge(base, delta, tmp_path / "alone.safetensors", dtype="fp32", kind=Kind.STUDENT)
    assert out.read_bytes() == alone.read_bytes()
    assert open_checkpoint(out).kind is Kind.STUDENT and open_checkpoint(out).schedule == (0.999, 0.769, 0.0)


def test_merge_refuses_mixed_up_files(write, tmp_path):
    base, adapter = write(samples.wan_base(), "base.safetensors"), write(samples.adapter(), "adapter.pt")
    out = tmp_path / "o.safetensors"
    with pytest.raises(InputError, match=r"adapter.pt is a LoRA adapter .*; expected a plain Wan 2.1"):
        merge(adapter, base, out)
    small = {k: v for k, v in samples.adapter().items() if not k.startswith("audio_")}
    with pytest.raises(InputError, match=r"missing: audio_proj\.proj\.weight"):
        merge(base, write(small, "small.pt"), out)
    pairs = {k: v for k, v in samples.adapter().items() if not k.startswith("patch")}
    large = write({k: torch.zeros(5120, 4) if "q.lora_B" in k else v for k, v in pairs.items()}, "14b.pt")
    with pytest.raises(InputError, match=r"\(14B\), but base.safetensors is .*width 128.*same size"):
        merge(base, large, out)
    assert not out.exists()
