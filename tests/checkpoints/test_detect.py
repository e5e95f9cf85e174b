"""Files are recognised by content."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.configs import OwnMetadata
from lipforcing.checkpoints.detect import Kind, recognise, transformer_size
from lipforcing.checkpoints.layouts import with_official_names
from lipforcing.checkpoints.sources import InMemory

from . import samples


@pytest.mark.parametrize("kind", list(samples.SAMPLES))
def test_every_kind_is_recognised(kind):
    source, _ = with_official_names(InMemory(samples.SAMPLES[kind]()))
    assert recognise(source).kind is kind


def test_metadata_tells_a_teacher_from_a_student():
    source = InMemory(samples.student())
    assert recognise(source, OwnMetadata(kind="teacher")).kind is Kind.TEACHER
    # Metadata does not turn one network into another.
    assert recognise(source, OwnMetadata(kind="wan_vae")).kind is Kind.STUDENT


def without(tensors, *names):
    return {name: tensor for name, tensor in tensors.items() if name not in names}


@pytest.mark.parametrize(
    ("tensors", "found"),
    [
        (lambda: samples.student() | {"patch_embedding.weight": torch.zeros(8, 49, 1, 2, 2)}, "49 input channels"),
        (lambda: samples.wan_base() | {"img_emb.proj.0.bias": torch.zeros(1)}, "image-to-video"),
        (lambda: {"token_embedding.weight": torch.zeros(1), "blocks.0.attn.q.weight": torch.zeros(1)}, "UMT5"),
        (lambda: {"lora_unet_x.lora_down.weight": torch.zeros(1), "a.lora_A.weight": torch.zeros(1)}, "a LoRA for"),
        (lambda: without(samples.syncnet(), "netfclip.0.weight"), "nearest to a SyncNet but without 'netfclip"),
        (lambda: samples.wan_vae() | {"conv2.weight": torch.zeros(48, 48, 1, 1, 1)}, "48 latent channels"),
        (lambda: {"foo": torch.zeros(1), "bar": torch.zeros(1)}, "an unknown file (its tensors are 'foo', 'bar')"),
    ],
)
def test_unknown_files_get_the_nearest_guess(tensors, found):
    recognition = recognise(InMemory(tensors()))
    assert recognition.kind is Kind.UNKNOWN and found in recognition.found


def test_a_damaged_student_is_still_a_student():
    for name in ("patch_embedding.weight", "head.modulation", "blocks.0.self_attn.q.weight"):
        assert recognise(InMemory(without(samples.student(), name))).kind is Kind.STUDENT


def test_sizes_in_words():
    width = {"patch_embedding.weight": torch.empty(5120, 65, 1, 2, 2, device="meta")}
    assert transformer_size(InMemory(width)) == "14B"
    assert transformer_size(InMemory(samples.adapter())) == "width 128"


@pytest.mark.parametrize(
    "suffixes, kinds",
    [
        (("lora_down.weight", "lora_up.weight", "alpha", "diff_b"), "diff_b, lora_down, lora_up"),
        (("diff",), "diff"),
        (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "alpha"), "hada_w1, hada_w2"),
        (("lokr_w1", "lokr_w2_a", "lokr_w2_b"), "lokr_w1, lokr_w2"),
        (("lora_A.weight", "lora_B.weight", "dora_scale"), "dora_scale"),
        (("lora_A.weight", "lora_B.weight", "diff_b"), "diff_b"),
    ],
)
@pytest.mark.parametrize("layer, model", [("blocks.0.self_attn.q", "Wan"), ("double_blocks.0.qkv", "another model")])
def test_other_adapters_are_no_models(suffixes, kinds, layer, model):
    recognition = recognise(InMemory({f"{layer}.{suffix}": torch.zeros(4, 4) for suffix in suffixes}))
    assert recognition.kind is Kind.UNKNOWN and recognition.found.startswith(f"a LoRA for {model} with {kinds} (")
