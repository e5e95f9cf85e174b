"""What a training step is said to cost, against one that is run."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing import get_context

import pytest
import torch

from benchmarks import training_step
from benchmarks.training_step import Case, Prediction, measure, predict
from lipforcing.models import WanTransformer
from lipforcing.models.config import tiny

TINY = Case("tiny", chunks=2, edge=8)


@pytest.fixture(scope="module")
def predictions() -> list[Prediction]:
    cases = [TINY, replace(TINY, lora_rank=4, chunks=1)]
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:  # what is kept between calls is fake afterwards
        return pool.map(predict, cases, chunksize=1)


@pytest.fixture
def found(predictions) -> Prediction:
    return predictions[0]


@pytest.fixture
def adapted(predictions) -> Prediction:
    return predictions[1]


def test_parts_are_those_of_the_network(found):
    network = WanTransformer(tiny(), device="meta")
    weights = sum(4 * p.numel() for p in network.parameters())
    assert found.weights == pytest.approx(weights, rel=0.02)  # counted in blocks of 512 bytes
    assert found.averages == found.weights
    assert 0 < found.gradients <= found.weights * 1.02
    vectors = sum(4 * p.numel() for p in network.parameters() if p.ndim < 2)
    assert found.optimizer == pytest.approx(weights + vectors, rel=0.02)  # Muon keeps one, AdamW two


def orthogonalising(network: WanTransformer) -> float:
    """Operations of Muon's five rounds on every matrix."""
    total = 0.0
    for p in network.parameters():
        if p.ndim >= 2:
            short, long = sorted((p.shape[0], p.numel() // p.shape[0]))
            total += 5 * 2 * short**2 * (2 * long + short)
    return total


def test_operations_are_those_of_six_passes_and_of_muon(found):
    network, tokens = WanTransformer(tiny(), device="meta"), 3 * (TINY.edge // 2) ** 2
    forward = sum(network.config.forward_flops(tokens, keys, 1) for keys in (tokens, 2 * tokens))
    # The first step, the one that is left at, the cache write without most of the last block, once more, and backward.
    expected = orthogonalising(network) + forward * (1 + 1 + 5.3 / 6 + 1 + 2)
    assert found.flops == pytest.approx(expected, rel=0.1)


def test_adapters_leave_the_network_without_gradients(found, adapted):
    assert adapted.gradients < found.gradients / 2
    assert adapted.averages < found.averages / 2
    assert adapted.weights > found.weights


def test_shares_of_a_rank_add_up():
    one = Prediction(weights=80, optimizer=80, averages=80, gradients=80, activations=5, flops=1.0, block=2)
    assert one.peak == one.per_rank(1) == 325
    assert one.per_rank(8) == 40 + 5 + 4


def test_a_step_is_measured_beside_its_prediction(monkeypatch, found):
    monkeypatch.setattr(training_step, "predicted", lambda case: found)
    row = measure(TINY, torch.device("cpu"), seconds=0, most=1)
    assert row["result"] == "done" and row["of steps"] == 1 and row["s"] > 0 and row["TFLOP/s"] > 0


def test_a_step_that_does_not_fit_is_said(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training_step, "steps", full)
    assert measure(TINY, torch.device("cpu"))["result"] == "out of memory"
