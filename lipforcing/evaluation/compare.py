"""Two systems on the same clips, pair by pair."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .metrics import METRICS
from .run import Evaluation
from .statistics import bootstrap_interval, sign_test, wilcoxon_test


@dataclass(frozen=True)
class Difference:
    """How a metric of one system differs from another's on the clips that both have.

    Attributes:
        mean: of first minus second; ``low`` and ``high`` bound it with 95 % confidence.
        wins, losses: clips on which the first has the higher, the lower value.
        sign_p, wilcoxon_p: two-sided p-values, not corrected for the number of metrics.
        n: clips compared.
    """

    mean: float
    low: float
    high: float
    wins: int
    losses: int
    sign_p: float
    wilcoxon_p: float
    n: int

    def to_dict(self) -> dict:
        return asdict(self)


def compare(first: Evaluation, second: Evaluation) -> dict[str, Difference]:
    """Difference of every metric with a better direction that both have on at least one common clip."""
    found = {}
    for metric in METRICS:
        if not metric.better:
            continue
        pairs = [
            (values[metric.key], second.clips[stem][metric.key])
            for stem, values in first.clips.items()
            if metric.key in values and metric.key in second.clips.get(stem, {})
        ]
        if pairs:
            found[metric.key] = difference([a - b for a, b in pairs])
    return found


def difference(values: list[float]) -> Difference:
    """Statistics of paired differences, at least one."""
    sample = np.asarray(values, dtype=np.float64)
    low, high = bootstrap_interval(sample)
    wins, losses = int((sample > 0).sum()), int((sample < 0).sum())
    return Difference(
        float(sample.mean()), low, high, wins, losses, sign_test(values), wilcoxon_test(values), len(sample)
    )
