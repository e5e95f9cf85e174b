"""Networks by kind: their sizes, their tensors, and the full key lists of the published sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.checkpoints.catalog import NETWORKS, build, config_for, expected_shapes, for_network
from lipforcing.checkpoints.detect import Kind
from lipforcing.checkpoints.lora import is_lora
from lipforcing.checkpoints.sources import InMemory
from lipforcing.codecs.taehv import taew2_1
from lipforcing.codecs.taehv import tiny as taehv_tiny
from lipforcing.errors import InputError
from lipforcing.models.config import PRESETS
from lipforcing.models.syncnet import SyncNetConfig

from . import samples


@pytest.mark.parametrize(("name", "preset"), [("14b", "wan_14b"), ("1.3b", "wan_1_3b")])
def test_every_key_and_shape(golden_json, name, preset):
    manifest = golden_json(f"state_dict_manifest_{name}")
    published = {key["name"]: tuple(key["shape"]) for key in manifest["keys"]}
    shapes = expected_shapes(Kind.STUDENT, PRESETS[preset]())
    assert shapes == published
    assert len(shapes) == manifest["tensor_count"]
    assert not any(is_lora(key) for key in shapes)


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind in samples.SAMPLES])
def test_a_network_is_built_to_the_tensors_of_its_file(kind):
    source = InMemory(samples.SAMPLES[kind]())
    config = config_for(kind, source)
    network = build(kind, config, torch.device("meta"))
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == expected_shapes(kind, config)
    assert for_network(kind, source).shapes == expected_shapes(kind, config)


@pytest.mark.parametrize(
    ("kind", "preset"),
    [(Kind.TAEHV, taew2_1()), (Kind.TAEHV, taehv_tiny()), (Kind.SYNCNET, SyncNetConfig.v2())],
)
def test_the_preset_that_fits_best_is_found(kind, preset):
    shapes = expected_shapes(kind, preset)
    source = InMemory({name: torch.empty(shape, device="meta") for name, shape in list(shapes.items())[:-2]})
    assert config_for(kind, source) == preset


def test_a_head_count_that_nobody_knows_is_asked_for():
    config = replace(samples.WAN, num_heads=0)
    assert expected_shapes(Kind.STUDENT, config) == expected_shapes(Kind.STUDENT, samples.WAN)
    with pytest.raises(InputError, match="number of attention heads of a transformer of width 128"):
        build(Kind.STUDENT, config)
    with pytest.raises(ValueError, match="no network of its own"):
        build(Kind.TEXT_EMBEDDING, None)
