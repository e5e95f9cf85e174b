"""The loop that all recipes share."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from lipforcing.distill.log import rows
from lipforcing.distill.parallel import Network
from lipforcing.distill.recipe import Recipe
from lipforcing.distill.state import checkpoints
from lipforcing.distill.trainer import advance, learning_rate, start, train
from lipforcing.errors import InputError
from lipforcing.models import WanTransformer
from tests.models.helpers import random_inputs, small_model

RECIPE = Recipe("line", iterations=60, learning_rate=0.05, seed=1, batch=8, checkpoint_every=10)
X = torch.randn(64, 4, generator=torch.Generator().manual_seed(5))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.3


@dataclass
class Line:
    """Fits a line to rows drawn at random; ``stop`` breaks off before a step, ``pause`` makes a step take long."""

    recipe: Recipe = RECIPE
    stop: int | None = None
    pause: float = 0.0

    @property
    def networks(self) -> dict[str, Network]:
        weights = {"weight": torch.tensor([[0.1, 0.2, -0.3, 0.4]]), "bias": torch.zeros(1)}
        return {"line": Network(lambda: nn.Linear(4, 1), lambda: weights)}

    def draw(self, step, generator):
        if step == self.stop:
            raise KeyboardInterrupt
        time.sleep(self.pause)
        return {"rows": torch.randint(len(X), (self.recipe.batch,), generator=generator)}

    def losses(self, step, batch, models):
        x, y = X[batch["rows"]], Y[batch["rows"]]
        yield "line", {"loss": (models["line"](x) - y).square().mean()}


def weights(models) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for model in models.values() for p in model.parameters()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[torch.Tensor, Path]:
    """Weights and folder of a run that nothing interrupted."""
    pytest.importorskip("matplotlib")
    out = tmp_path_factory.mktemp("whole")
    return weights(train(Line(), out, out / "states")), out


def logged(out: Path) -> list[list[str]]:
    with open(out / "line.csv", newline="") as file:
        return [[row[0], *row[2:]] for row in csv.reader(file)]


def test_it_learns_and_logs(whole):
    found, out = whole
    first = weights({"line": start(Line(), torch.device("cpu"), None).models["line"]})
    error = [((X @ w[:4, None] + w[4]) - Y).square().mean() for w in (first, found)]
    assert error[1] < 0.9 * error[0]
    names, *rows = logged(out)
    assert names == ["step", "loss"] and [int(row[0]) for row in rows] == list(range(60))
    rows_of_first = torch.randint(len(X), (8,), generator=torch.Generator().manual_seed(1))
    expected = (X[rows_of_first] @ first[:4, None] + first[4] - Y[rows_of_first]).square().mean()
    assert float(rows[0][1]) == pytest.approx(float(expected), rel=1e-4)
    assert (out / "line.png").stat().st_size > 1000
    assert [path.name for path in checkpoints(out / "states")] == ["step_0000060"]  # the last one alone is kept


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(whole, tmp_path):
    """Bit for bit, although it was broken off seven steps after its checkpoint; the log has every step once."""
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop=47), tmp_path, tmp_path / "states")
    assert [path.name for path in checkpoints(tmp_path / "states")] == ["step_0000040"]
    assert torch.equal(weights(train(Line(), tmp_path, tmp_path / "states")), whole[0])
    assert logged(tmp_path) == logged(whole[1])
    assert torch.equal(weights(train(Line(stop=0), tmp_path, tmp_path / "states")), whole[0])  # it is done already


def slowly(out: Path) -> None:
    train(Line(pause=0.01, recipe=replace(RECIPE, checkpoint_every=1)), out, out / "states")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_killed_process_goes_on_as_if_nothing_had_happened(whole, tmp_path):
    """Killed while it writes a checkpoint after every step, so most likely in the middle of one."""
    process = multiprocessing.get_context("spawn").Process(target=slowly, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 120
    while len(checkpoints(tmp_path / "states")) == 0 or int(checkpoints(tmp_path / "states")[-1].name[5:]) < 20:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert 20 <= int(checkpoints(tmp_path / "states")[-1].name[5:]) < 60
    assert torch.equal(weights(train(Line(), tmp_path, tmp_path / "states")), whole[0])
    assert logged(tmp_path) == logged(whole[1])


def test_accumulation_changes_nothing_but_rounding():
    found = []
    for rounds in (1, 4):
        task = Line(replace(RECIPE, accumulation=rounds, clip_norm=1e9))
        state = start(task, torch.device("cpu"), None)
        values = [advance(task, state, torch.device("cpu"))["loss"] for _ in range(5)]
        gradient = state.models["line"].weight.grad[0]  # optimizers do not care for its size
        found.append(torch.cat((weights(state.models), torch.tensor(values), gradient)))
    torch.testing.assert_close(*found, atol=1e-5, rtol=0)


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path):
    with pytest.raises(InputError, match="8 cannot be divided by 3"):
        train(Line(replace(RECIPE, accumulation=3)), tmp_path, tmp_path)


class Pair(Line):
    """A network that learns in every step and one that learns in every second, from what the other has learnt."""

    @property
    def networks(self):
        (network,) = super().networks.values()
        return {"critic": network, "student": network}

    def losses(self, step, batch, models):
        for name in ("critic", "student")[: 2 if step % 2 else 1]:
            ((_, terms),) = super().losses(step, batch, {"line": models[name]})
            yield name, terms


def test_networks_learn_at_their_own_pace():
    state = start(Pair(), torch.device("cpu"), None)
    at_first = weights({"": state.models["student"]})
    assert list(advance(Pair(), state, torch.device("cpu"))) == ["critic loss"]
    assert torch.equal(weights({"": state.models["student"]}), at_first)
    assert not torch.equal(weights({"": state.models["critic"]}), at_first)
    assert list(advance(Pair(), state, torch.device("cpu"))) == ["critic loss", "student loss"]
    assert not torch.equal(weights({"": state.models["student"]}), at_first)


def test_learning_rates():
    assert learning_rate(RECIPE, 0) == pytest.approx(1 / 50)
    assert learning_rate(replace(RECIPE, iterations=1000), 500) == pytest.approx(0.5)
    assert learning_rate(replace(RECIPE, schedule="constant"), 55) == 1


class Flow:
    """A small transformer under activation checkpointing, in two accumulation rounds."""

    recipe = Recipe("flow", 3, learning_rate=0.05, seed=2, batch=4, accumulation=2, warm_up=1, checkpointing=True)

    def __init__(self) -> None:
        plain = small_model()
        self.networks = {"flow": Network(lambda: WanTransformer(plain.config), plain.state_dict)}
        self.inputs = random_inputs(plain.config, 3, batch=6)

    def draw(self, step, generator):
        rows = torch.randint(6, (4,), generator=generator)
        return {"rows": rows, "noise": torch.randn(4, 16, 3, 4, 6, generator=generator)}

    def losses(self, step, batch, models):
        inputs = type(self.inputs)(*(value[batch["rows"]] for value in vars(self.inputs).values()))
        level = torch.full((len(inputs.text),), 0.5)
        found = models["flow"](batch["noise"], level, models["flow"].prepare(inputs))
        yield "flow", {"loss": (found - inputs.masked_video).square().mean()}


def rank_main(rank: int, port: int, out: Path) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    train(Flow(), out, out / "states", mesh=init_device_mesh("cpu", (2,)))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_sharded_ranks_equal_one_process(tmp_path):
    """At the same batch; what two ranks have stored, one can read."""
    pytest.importorskip("matplotlib")
    one = train(Flow(), tmp_path / "one", tmp_path / "one" / "states")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(rank_main, (port, tmp_path / "two"), nprocs=2)
    two = train(Flow(), tmp_path / "two", tmp_path / "two" / "states")
    moved = (weights(one) - weights({"": small_model()})).abs().max()
    assert moved > 0.005
    torch.testing.assert_close(weights(two), weights(one), atol=1e-5, rtol=0)
    losses = [(tmp_path / name / "flow.csv").read_text().splitlines()[-1].split(",")[2] for name in ("one", "two")]
    assert float(losses[0]) == pytest.approx(float(losses[1]), abs=1e-5)


@dataclass
class Seen(Line):
    """A line that is validated: by its weights, and by how it is asked."""

    asked: list = field(default_factory=list)

    def validate(self, models, folder):
        model = models["line"]
        torch.rand(3)
        self.asked.append((weights(models), model.training, folder.name))
        return {"first": model.weight[0, 0].item()}


def test_validation_sees_averages_and_changes_nothing(whole, tmp_path):
    task = Seen(replace(RECIPE, validate_every=25))
    found = weights(train(task, tmp_path, tmp_path / "states"))
    assert torch.equal(found, whole[0])
    assert [name for *_, name in task.asked] == ["step_0000025", "step_0000050", "step_0000060"]
    last, training, _ = task.asked[-1]
    assert torch.equal(last, found) and not training  # averages are the result
    table = rows(tmp_path / "line_validation.csv")
    assert table[0] == ["step", "first"] and [row[0] for row in table[1:]] == ["25", "50", "60"]
    assert float(table[-1][1]) == pytest.approx(found[0].item(), rel=1e-4)


def test_validations_after_the_checkpoint_are_made_again(tmp_path):
    recipe = replace(RECIPE, validate_every=15)
    with pytest.raises(KeyboardInterrupt):
        train(Seen(recipe, stop=48), tmp_path, tmp_path / "states")
    assert (tmp_path / "line_validation.csv").read_text().count("\n") == 4
    task = Seen(recipe)
    train(task, tmp_path, tmp_path / "states")
    assert [name for *_, name in task.asked] == ["step_0000045", "step_0000060"]
    assert [row[0] for row in rows(tmp_path / "line_validation.csv")][1:] == ["15", "30", "45", "60"]


def test_what_cannot_be_validated_says_so(tmp_path):
    with pytest.raises(InputError, match="validate_every"):
        train(Line(replace(RECIPE, validate_every=5)), tmp_path, tmp_path / "states")
