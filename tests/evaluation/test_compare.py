"""Two systems on the same clips."""

import pytest

from lipforcing.evaluation import Evaluation, compare
from lipforcing.evaluation.compare import difference


def test_paired_difference():
    pytest.importorskip("scipy")
    one = difference([0.5, 0.7, 0.6, -0.1, 0.4, 0.8])
    assert one.mean == pytest.approx(2.9 / 6) and (one.wins, one.losses, one.n) == (5, 1, 6)
    assert 0 < one.low < one.mean < one.high and one.sign_p == pytest.approx(0.21875)
    assert one.wilcoxon_p == pytest.approx(0.0625)  # 2 of 64 sign patterns on either side are as extreme
    assert difference([0.0, 0.0]).wilcoxon_p == 1.0


def test_only_common_clips_and_judged_metrics_are_compared():
    pytest.importorskip("scipy")
    first = Evaluation({"a": {"sync_c": 3.0, "sync_c_reference": 1.0}, "b": {"sync_c": 5.0}, "c": {}}, {}, [])
    second = Evaluation({"a": {"sync_c": 1.0, "sync_c_reference": 1.0}, "c": {"sync_c": 9.0}}, {}, [])
    assert {key: (one.mean, one.n) for key, one in compare(first, second).items()} == {"sync_c": (2.0, 1)}
