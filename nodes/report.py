"""The report of a run as text, for a node's output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .memory import GIGABYTE, MemoryWatch

if TYPE_CHECKING:
    from ..lipforcing.evaluation.quality import Quality
    from ..lipforcing.pipeline import SyncOptions, SyncResult
    from ..lipforcing.stream.family import Family


def report_text(
    done: SyncResult,
    family: Family,
    options: SyncOptions,
    memory: MemoryWatch,
    quality: Quality | None,
    files: dict[str, dict],
) -> str:
    """The run as JSON, see docs/report.md. `files`: weights and inputs, see `Origins.entries`."""
    from ..lipforcing.report import RunReport, manifest

    about = manifest(family, options, **files)
    peak = memory.peak
    report = RunReport(done, about, peak_memory=None if peak is None else round(peak * GIGABYTE), quality=quality)
    return json.dumps(report.to_dict(), indent=1)
