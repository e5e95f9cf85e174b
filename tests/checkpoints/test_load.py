"""Strict loading, and messages that say what is wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipforcing.checkpoints import Kind, load_into, load_module, load_text_embedding, open_checkpoint
from lipforcing.checkpoints.sources import InMemory
from lipforcing.errors import InputError
from lipforcing.models.transformer import WanTransformer

from . import samples

NETWORKS = (Kind.STUDENT, Kind.WAN_VAE, Kind.TAEHV, Kind.WAV2VEC2, Kind.SYNCNET, Kind.TINY_CODEC)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_loads_strictly(write, kind):
    tensors = samples.SAMPLES[kind]()
    network, checkpoint = load_module(write(tensors), kind)
    assert checkpoint.kind is kind and not network.training
    state = network.state_dict()
    assert not any(parameter.is_meta or parameter.requires_grad for parameter in network.parameters())
    for name, tensor in state.items():
        original = tensors.get(name, tensors.get(f"wav2vec2.{name}"))
        if original is not None:
            assert torch.equal(tensor, original), name
    with pytest.raises(InputError, match=rf"a.safetensors is {kind.title.split(' (')[0]}.*; expected a YuNet"):
        load_module(write(tensors), Kind.YUNET)


@pytest.mark.parametrize("kind", NETWORKS)
def test_one_missing_one_extra_one_misshapen(write, kind):
    tensors = samples.SAMPLES[kind]()
    names = [name for name in tensors if name.endswith("bias")][-2:]
    del tensors[names[0]]
    tensors[names[1]] = torch.zeros(7)
    # Extra tensors under the network's own names: other heads of a wav2vec2 file are known and left out.
    extra = "wav2vec2.surprise" if kind is Kind.WAV2VEC2 else "surprise"
    tensors[extra] = torch.zeros(1)
    with pytest.raises(InputError) as error:
        load_module(write(tensors), kind)
    for part in ("a.safetensors is ", names[0].removeprefix("wav2vec2."), "surprise", "[7] instead of"):
        assert part in str(error.value)


def test_files_that_are_no_network(write):
    with pytest.raises(InputError, match=r"a LoRA adapter .*; expected a Lip Forcing student: merge it"):
        load_module(write(samples.adapter()), Kind.STUDENT)
    for kind in (Kind.ADAPTER, Kind.WAN_BASE, Kind.TEXT_EMBEDDING):
        with pytest.raises(InputError, match="not a network to load"):
            load_module(write(samples.SAMPLES[kind]()))


def test_one_shard_of_many(write):
    tensors = samples.student()
    half = {name: tensors[name] for name in list(tensors)[: len(tensors) // 2]}
    with pytest.raises(InputError, match="it is one of 6 shards, name the folder"):
        load_module(write(half, "model-00001-of-00006.safetensors"), Kind.STUDENT)


def test_dtype_and_device(write):
    network, _ = load_module(write(samples.student()), Kind.STUDENT, dtype=torch.bfloat16, device="cpu")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    syncnet, _ = load_module(write(samples.syncnet(), "s.safetensors"), Kind.SYNCNET, dtype=torch.float16)
    counts = [buffer for name, buffer in syncnet.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts and all(not count.is_floating_point() or count.dtype == torch.float16 for count in counts)


def test_all_student_layouts_give_the_same_network(tmp_path):
    tensors = samples.student()
    layouts = {
        "flat": tensors,
        "core": {f"_core.{name}": tensor for name, tensor in tensors.items()},
        "net": {"net": {f"_core.{name}": tensor for name, tensor in tensors.items()}, "iteration": 3},
        "model.net": {"model": {"net": tensors, "fake_score": {"x": torch.ones(1)}}, "optimizer": {"y": torch.ones(1)}},
        "comfyui": {f"model.diffusion_model.{name}": tensor for name, tensor in tensors.items()},
    }
    for label, content in layouts.items():
        torch.save(content, tmp_path / f"{label}.pth")
        network, _ = load_module(tmp_path / f"{label}.pth", Kind.STUDENT)
        state = network.state_dict()
        assert set(state) == set(tensors) and all(torch.equal(state[name], tensors[name]) for name in tensors), label


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_distributed_student(tmp_path):
    import torch.distributed.checkpoint as dcp

    dcp.save({f"net.{name}": tensor for name, tensor in samples.student().items()}, checkpoint_id=tmp_path / "s")
    network, checkpoint = load_module(tmp_path / "s", Kind.STUDENT)
    assert checkpoint.file.format == "distributed"
    assert torch.equal(network.head.modulation, samples.student()["head.modulation"])


def test_unconverted_tensors_are_not_copied(write):
    source = open_checkpoint(write({"weight": torch.ones(4, 3), "bias": torch.ones(4)})).weights
    tensor = source["weight"]

    class Same(InMemory):
        def __getitem__(self, name):
            return tensor if name == "weight" else super().__getitem__(name)

    network = nn.Linear(3, 4, device="meta")
    load_into(network, Same({"weight": tensor, "bias": torch.ones(4)}))
    assert network.weight.data_ptr() == tensor.data_ptr()


def test_head_count_must_be_known(golden, write):
    weights = golden("student_ar").group("weights")
    with pytest.raises(InputError, match="number of attention heads"):
        load_module(write(weights), Kind.STUDENT)
    own = f'{{"kind": "student", "config": {{"num_heads": {golden("student_ar").config["num_heads"]}}}}}'
    network, _ = load_module(write(weights, metadata={"lipforcing": own}), Kind.STUDENT)
    assert isinstance(network, WanTransformer) and network.config.num_heads == golden("student_ar").config["num_heads"]


@pytest.mark.parametrize("content", [lambda t: t, lambda t: {"context": t}, lambda t: {"prompt_emb": t[None], "n": 3}])
def test_text_embeddings(tmp_path, content):
    embedding = torch.randn(8, 6).bfloat16()
    torch.save(content(embedding), tmp_path / "text_emb.pt")
    loaded = load_text_embedding(tmp_path / "text_emb.pt", width=6)
    assert torch.equal(loaded, embedding[None])
    with pytest.raises(InputError, match="width 6, but the model takes 4096"):
        load_text_embedding(tmp_path / "text_emb.pt")
