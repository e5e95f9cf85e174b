"""The list of what is measured."""

from __future__ import annotations

import pytest

from lipforcing.evaluation.metrics import BY_KEY, METRICS
from lipforcing.evaluation.run import NEEDS


def test_every_metric_has_a_name_of_its_own():
    assert len(BY_KEY) == len(METRICS) == len({metric.title for metric in METRICS})
    assert set(NEEDS) <= set(BY_KEY)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_every_metric_is_explained(metric):
    assert metric.about and not metric.about.endswith(".")
    calibrates = metric.key.endswith(("_reference", "_reencoded"))  # is neither better nor worse
    assert metric.better or calibrates or metric.key in ("opening_mean", "opening_95")  # best at 1
