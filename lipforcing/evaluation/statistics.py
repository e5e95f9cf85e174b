"""Mean, median, bootstrap confidence interval; and of two systems the paired difference with tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

RESAMPLES = 4000
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True)
class Summary:
    """A metric over n clips; ``low`` and ``high`` bound the mean with 95 % confidence (percentile bootstrap)."""

    mean: float
    median: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict:
        return asdict(self)


def summarise(values: Sequence[float]) -> Summary:
    """Statistics of at least one value; the same values give the same interval."""
    sample = np.asarray(values, dtype=np.float64)
    low, high = bootstrap_interval(sample)
    return Summary(float(sample.mean()), float(np.median(sample)), low, high, len(sample))


def bootstrap_interval(sample: np.ndarray) -> tuple[float, float]:
    """95 % confidence interval of the mean of [n] values: percentiles over 4000 resampled means.

    Clips, not frames, are resampled: frames of one clip are not independent. With one value the interval is that value.
    """
    rows = np.random.default_rng(SEED).integers(len(sample), size=(RESAMPLES, len(sample)))
    low, high = np.quantile(sample[rows].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided exact p-value of as unequal numbers of positive and negative differences; zeros do not count."""
    positive = sum(value > 0 for value in differences)
    negative = sum(value < 0 for value in differences)
    count, rarer = positive + negative, min(positive, negative)
    tail = sum(math.comb(count, k) for k in range(rarer + 1)) / 2**count
    return min(1.0, 2 * tail)


def wilcoxon_test(differences: Sequence[float]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test (SciPy's); 1 where no difference is other than zero."""
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue) if any(differences) else 1.0
