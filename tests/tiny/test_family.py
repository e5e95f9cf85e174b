"""Parts of the tiny family go into files and come back."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from lipforcing.checkpoints import inspect
from lipforcing.tiny import family


@pytest.mark.parametrize("part", ["student", "codec", "syncnet", "syncnet_logmel"])
def test_saved_parts_are_the_published_ones(tmp_path, part):
    path = family.save(part, family.load(part), {"steps": 3}, tmp_path / "weights")
    dtype = torch.bfloat16 if part == "syncnet_logmel" else torch.float16
    saved, published = load_file(path), load_file(family.weights_path(part))
    assert saved.keys() == published.keys()
    assert all(torch.equal(saved[name], published[name]) for name in saved)
    assert {value.dtype for value in saved.values() if value.is_floating_point()} == {dtype}
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    found, original = inspect(path), inspect(family.weights_path(part))
    assert (found.kind, found.config, found.schedule) == (original.kind, original.config, original.schedule)
    # the second SyncNet is of the family alone: the catalogue knows the first one's sizes
    assert found.complete
