"""What is kept of a run; that it goes on exactly is in test_trainer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipforcing.distill import state
from lipforcing.distill.state import State, checkpoints


def line(seed: int) -> State:
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    model(torch.randn(4, 3)).square().mean().backward()
    optimizer = torch.optim.AdamW([model.weight], lr=0.1)
    optimizer.step()
    generator = torch.Generator().manual_seed(seed)
    return State(seed, {"line": model}, {"line": [optimizer]}, {"line": {"weight": torch.randn(2, 3)}}, generator)


def test_a_state_comes_back_whole(tmp_path):
    first, other = line(1), line(2)
    torch.rand(5, generator=first.generator)
    first.save(tmp_path)
    other.resume(tmp_path)
    assert other.step == 1 and torch.equal(other.models["line"].weight, first.models["line"].weight)
    assert torch.equal(other.averages["line"]["weight"], first.averages["line"]["weight"])
    moments = [one.optimizers["line"][0].state[one.models["line"].weight]["exp_avg"] for one in (first, other)]
    assert torch.equal(*moments)
    assert torch.equal(torch.rand(3, generator=first.generator), torch.rand(3, generator=other.generator))
    assert not torch.equal(other.models["line"].bias, first.models["line"].bias)  # frozen: the base it was built with


def test_without_a_state_nothing_changes(tmp_path):
    one = line(3)
    one.resume(tmp_path / "nothing")
    assert one.step == 3


def test_a_state_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    one = line(1)
    one.save(tmp_path)

    def full(*_, checkpoint_id, **__):
        (checkpoint_id / "half").write_text("a few bytes")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(state.dcp, "save", full)
        one.step = 2
        with pytest.raises(OSError, match="disk full"):
            one.save(tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_0000001"]
    one.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000002"]
