"""Comparing dubbed videos with their references: metrics, statistics, tables and reports (docs/evaluation.md)."""

from .compare import Difference, compare
from .metrics import METRICS, Metric
from .run import Evaluation, Options, evaluate
from .statistics import Summary, summarise

__all__ = ["METRICS", "Difference", "Evaluation", "Metric", "Options", "Summary", "compare", "evaluate", "summarise"]
