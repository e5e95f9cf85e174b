"""The full key lists of the published sizes, on the meta device."""

from __future__ import annotations

import pytest

from lipforcing.checkpoints.catalog import expected_shapes
from lipforcing.checkpoints.detect import Kind
from lipforcing.checkpoints.lora import is_lora
from lipforcing.models.config import PRESETS


@pytest.mark.parametrize(("name", "preset"), [("14b", "wan_14b"), ("1.3b", "wan_1_3b")])
def test_every_key_and_shape(golden_json, name, preset):
    manifest = golden_json(f"state_dict_manifest_{name}")
    published = {key["name"]: tuple(key["shape"]) for key in manifest["keys"]}
    shapes = expected_shapes(Kind.STUDENT, PRESETS[preset]())
    assert shapes == published
    assert len(shapes) == manifest["tensor_count"]
    assert not any(is_lora(key) for key in shapes)
