"""Mean, interval, tests."""

import numpy as np
import pytest

from lipforcing.evaluation import summarise
from lipforcing.evaluation.statistics import sign_test


def test_summary_of_known_values():
    summary = summarise([1.0, 2.0, 3.0, 10.0])
    assert (summary.mean, summary.median, summary.n) == (4.0, 2.5, 4)
    assert 1 <= summary.low < 4 < summary.high <= 10
    assert summary == summarise([1.0, 2.0, 3.0, 10.0])
    alone = summarise([7.0])
    assert (alone.low, alone.high) == (7, 7)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        summary = summarise(generator.normal(3, 2, 40))
        hits += summary.low <= 3 <= summary.high
    assert 180 <= hits <= 199
    assert summary.high - summary.low == pytest.approx(2 * 1.96 * 2 / 40**0.5, rel=0.35)


@pytest.mark.parametrize(
    "values, p", [([1] * 5, 0.0625), ([1, 1, 1, 1, -1], 0.375), ([0, 0], 1.0), ([1, -1], 1.0), ([-1] * 8, 2 / 256)]
)
def test_sign_test(values, p):
    assert sign_test(values) == pytest.approx(p)
