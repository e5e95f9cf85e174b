"""Where the time of a run goes, and how much memory it took."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class StageTimes:
    """How long a stage took, every time it ran.

    Attributes:
        seconds: per run of the stage, in order.
    """

    seconds: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest."""
        return min(self.seconds), max(self.seconds)


class Meter:
    """Times stages by name; stages may run on several threads.

    On a CUDA device a stage is timed by events on its stream, which are read only when somebody asks, so that
    measuring makes nothing wait. Elsewhere it is wall time.

    Args:
        device: where the stages run.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._cuda = torch.device(device).type == "cuda"
        self._marks: list[tuple[str, object, object]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        begin = self._now()
        yield
        self._marks.append((name, begin, self._now()))

    def times(self) -> dict[str, StageTimes]:
        """All stages in the order in which they first ended."""
        if self._cuda:
            torch.cuda.synchronize()
        seconds: dict[str, list[float]] = {}
        for name, begin, end in list(self._marks):
            seconds.setdefault(name, []).append(self._between(begin, end))
        return {name: StageTimes(tuple(values)) for name, values in seconds.items()}

    def clear(self) -> None:
        """Forget what was timed so far (a warm-up)."""
        self._marks.clear()

    def _now(self) -> object:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _between(self, begin, end) -> float:
        return begin.elapsed_time(end) / 1000 if self._cuda else end - begin


def peak_memory(device: torch.device | str = "cpu") -> int:
    """Largest memory so far in bytes: allocated on a CUDA device, else resident in this process.

    Raises:
        OSError: the system does not tell (Windows).
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of Linux starts with the size of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        raise OSError("this system does not tell the peak memory of a process") from None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
