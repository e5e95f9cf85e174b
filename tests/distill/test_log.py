"""What a training tells."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from lipforcing.distill import log
from lipforcing.distill.log import Log, Watch, plot_log
from lipforcing.errors import InputError


def test_a_loss_that_is_no_number_ends_the_training():
    watch = Watch("teacher")
    with pytest.raises(InputError, match=r"teacher: loss is nan at step 7; .* learning rate"):
        watch(7, {"loss": float("nan"), "hits": 1.0})
    assert watch(8, {"loss": 1.0, "hits": float("nan")}) == []


def test_a_loss_far_above_its_median_is_said_once():
    watch = Watch("teacher")
    assert not any(watch(step, {"loss": 1.0 + step % 2}) for step in range(60))
    (said,) = watch(60, {"loss": 20.0})
    assert "loss is 20 at step 60" in said and "it may diverge" in said
    assert watch(61, {"loss": 20.0}) == [] and watch(300, {"loss": 20.0})
    assert Watch("early")(3, {"loss": 1e9}) == []  # at first losses fall fast


def test_rows_of_a_run_that_was_killed_are_dropped(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    first = Log(tmp_path, "line", 0, 6)
    for step in range(4):
        first.step(step, {"loss": 4.0 - step})
    first.close()
    with open(tmp_path / "line.csv", "a") as file:
        file.write("4,1")  # killed within a row
    second = Log(tmp_path, "line", 3, 6)
    for step in range(3, 6):
        second.step(step, {"loss": 0.5})
    second.close()
    rows = [line.split(",") for line in (tmp_path / "line.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["step", "0", "1", "2", "3", "4", "5"]
    assert [row[2] for row in rows[1:]] == ["4", "3", "2", "0.5", "0.5", "0.5"]
    plot_log(tmp_path / "line.csv", tmp_path / "line.png")
    assert (tmp_path / "line.png").stat().st_size > 1000


def test_tensorboard_gets_the_terms_where_it_is_installed(tmp_path, monkeypatch):
    class Writer:
        def __init__(self, folder, purge_step):
            self.seen = [(folder, purge_step)]
            Writer.made = self

        def add_scalar(self, *values):
            self.seen.append(values)

        def close(self):
            self.seen.append("closed")

    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    monkeypatch.setattr(log, "find_spec", lambda name: name)
    one = Log(tmp_path, "line", 0, 1)
    one.step(0, {"loss": 2.0})
    one.close()
    assert Writer.made.seen == [(str(tmp_path / "tensorboard" / "line"), 0), ("loss", 2.0, 0), "closed"]
