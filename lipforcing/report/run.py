"""What is known of a run, as plain values and as two files beside its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..evaluation.quality import Quality
from ..output import check_new_file, new_file
from ..pipeline import SyncResult
from ..syncnet import VideoScore
from .page import page
from .snapshots import Snapshots

ENDINGS = (".report.json", ".report.html")


@dataclass(frozen=True)
class RunReport:
    """Everything that is known of a run.

    Attributes:
        result: what was done.
        manifest: what it was made with, see ``manifest.manifest``; empty where that was not asked for.
        encoding: how the result is coded, in a sentence.
        peak_memory: bytes, None where the system does not tell.
        quality: figures of the mouths, None where they were not measured.
        score: how well the result's faces follow its sound, None where no SyncNet knows such pictures.
        snapshots: pictures of the result.
    """

    result: SyncResult
    manifest: dict
    encoding: str = ""
    peak_memory: int | None = None
    quality: Quality | None = None
    score: VideoScore | None = None
    snapshots: Snapshots | None = None

    def to_dict(self) -> dict:
        """Plain values for JSON, under keys that stay.

        ``fps``, ``first_frame_seconds`` (which ``evaluate`` reads), ``done`` (what was written, passed on and lost),
        ``seconds``, ``stages`` (``total``, ``median``, ``runs``; stages overlap), ``peak_memory``, ``quality`` and
        ``sync`` (None where not measured), ``manifest``.
        """
        result = self.result
        return {
            "fps": round(result.fps, 3),
            "first_frame_seconds": round(result.first_frame_seconds, 3),
            "done": {
                "file": result.path.name,
                "description": result.description,
                "plan": result.plan.description,
                "encoding": self.encoding,
                "frames": result.frames,
                "length": result.length,
                "passed": [asdict(part) for part in result.passed],
                "changed_outside": result.changed_outside,
                "damaged_packets": result.damaged,
                "notes": list(result.notes),
            },
            "seconds": round(result.seconds, 3),
            "stages": {
                name: {"total": times.total, "median": times.median, "runs": len(times.seconds)}
                for name, times in result.stages.items()
            },
            "peak_memory": self.peak_memory,
            "quality": self.quality and self.quality.to_dict(),
            "sync": self.score and self.score.to_dict(),
            "manifest": self.manifest,
        }

    def to_html(self) -> str:
        """One page without anything outside it."""
        return page(self.to_dict(), self.snapshots.links() if self.snapshots else ())

    def write(self) -> tuple[Path, Path]:
        """Write both files beside the result; gives their paths.

        Raises:
            InputError: they cannot be written.
        """
        data, html = report_paths(self.result.path)
        for path, text in ((data, json.dumps(self.to_dict(), indent=1)), (html, self.to_html())):
            with new_file(path) as partial:
                partial.write_text(text, encoding="utf-8")
        return data, html


def report_paths(result: Path) -> tuple[Path, Path]:
    """Where the report of a result goes: JSON and page."""
    data, html = (result.with_name(result.name + ending) for ending in ENDINGS)
    return data, html


def check_report(result: Path, sources: Sequence) -> None:
    """Say before the work that a report cannot be written beside a result.

    Raises:
        InputError: see ``output.check_new_file``.
    """
    for path in report_paths(result):
        check_new_file(path, sources)
