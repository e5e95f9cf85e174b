"""Sources of tensors over other sources, a few rows at a time."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.sources import InMemory, Overlaid, Renamed, Spec, TensorSource


def test_specs_count():
    spec = Spec((4, 3), torch.bfloat16)
    assert (spec.numel, spec.nbytes) == (12, 24)
    assert spec.select(1, 3).shape == (2, 3) and Spec((), torch.float32).select(0, 1).shape == ()


@pytest.mark.parametrize(("size", "rows"), [(1, 1), (24, 1), (25, 1), (48, 2), (1 << 20, 5)])
def test_blocks_are_rows_of_about_a_size(size, rows):
    tensor = torch.arange(30.0).view(5, 6)  # rows of 24 bytes
    blocks = list(InMemory({"a": tensor}).blocks("a", size))
    assert torch.equal(torch.cat(blocks), tensor) and len(blocks[0]) == rows
    assert list(InMemory({"a": torch.tensor(3)}).blocks("a", size)) == [torch.tensor(3)]


def test_asking_whether_a_name_is_there_loads_nothing():
    class Lazy(TensorSource):
        metadata, label = {}, "lazy"

        def spec(self, name):
            return {"a": Spec((2,), torch.float32)}[name]

        def rows(self, name, start, stop):
            raise AssertionError("loaded")

        def __iter__(self):
            return iter(["a"])

        def __len__(self):
            return 1

    lazy = Lazy()
    assert "a" in lazy and "b" not in lazy and lazy.shapes == {"a": (2,)} and lazy.dtypes == {"a": torch.float32}
    assert "x" in Renamed(lazy, {"x": "a"}) and "a" not in Renamed(lazy, {"x": "a"}) and "a" in Overlaid(lazy, lazy)


def test_other_names_for_some():
    source = InMemory({"a": torch.arange(4), "b": torch.zeros(1)}, {"k": "v"}, "file")
    renamed = Renamed(source, {"x": "a"})
    assert list(renamed) == ["x"] and len(renamed) == 1 and renamed.label == "file" and renamed.metadata == {"k": "v"}
    assert torch.equal(renamed.rows("x", 1, 3), torch.tensor([1, 2]))
    assert renamed["x"].data_ptr() == source.tensors["a"].data_ptr() != renamed.rows("x", 0, 4).data_ptr()


def test_of_two_the_upper_counts():
    lower = InMemory({"a": torch.zeros(2), "b": torch.zeros(3)}, {"k": "low", "l": "low"}, "base")
    upper = InMemory({"b": torch.ones(2), "c": torch.ones(1)}, {"k": "up"}, "delta")
    both = Overlaid(lower, upper)
    assert list(both) == ["a", "b", "c"] and len(both) == 3 and both.label == "base + delta"
    assert both.spec("b").shape == (2,) and both["b"].tolist() == [1, 1] and both.rows("a", 0, 1).tolist() == [0]
    assert both.metadata == {"k": "up", "l": "low"}
