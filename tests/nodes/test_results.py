"""Results in the temporary folder: the oldest go where room is needed, and a host that asks for one of them is told."""

from __future__ import annotations

import importlib
import os

import pytest

from .stand_in import LOADED_AS, load_pack

KB = 1 << 10


@pytest.fixture
def results(monkeypatch, tmp_path):
    load_pack()
    module = importlib.import_module(f"{LOADED_AS}.nodes.results")
    numbers = iter(range(100))
    monkeypatch.setattr(module.host, "temp_path", lambda stem, suffix: str(tmp_path / f"{stem}{next(numbers)}{suffix}"))
    return module.Results(room=3 * KB)


def run(results, node: str, **values):
    """What the host does: asks, then runs. Gives the file, a kilobyte."""
    results.token(node, values)
    path = results.new(node, "synced")
    path.write_bytes(bytes(KB))
    number = int(path.stem.removeprefix("synced"))
    os.utime(path, (number, number))
    return path


def test_the_oldest_results_of_other_values_go(results):
    paths = [run(results, "3", seed=seed) for seed in range(6)]
    assert [path.exists() for path in paths] == [False, False, True, True, True, True]
    assert [results.token("3", {"seed": seed}) for seed in range(6)] == [1, 1, 0, 0, 0, 0]


def test_what_the_running_prompt_uses_stays(results):
    used = run(results, "1", seed=0)  # comes from the host's cache from now on: asked for, not run
    paths = []
    for seed in range(6):
        results.token("1", {"seed": 0})
        paths.append(run(results, "2", seed=seed))
    assert used.exists() and not paths[0].exists()


def test_values_that_come_through_wires_do_not_count(results):
    path = run(results, "3", seed=1)
    results.token("3", {"seed": 1, "audio": None})
    path.unlink()
    assert results.token("3", {"seed": 1, "audio": None, "video": None}) == 1


def test_results_of_a_loop_stay(results):
    """The same node with the same values, many times in one prompt."""
    paths = [run(results, "3", seed=1) for _ in range(6)]
    assert all(path.exists() for path in paths)
