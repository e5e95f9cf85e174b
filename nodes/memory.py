"""How much memory a run took, for its panel and the log."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from . import host

if TYPE_CHECKING:
    from .host.patchers import RunningStudent
    from .progress import FrameNumbers

GIGABYTE = 1e9


class MemoryWatch:
    """Watches the host's device from now on; without a GPU, the process with all that it did before."""

    def __init__(self) -> None:
        import torch

        self._device = host.compute_device()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)

    @property
    def peak(self) -> float | None:
        """Largest memory in gigabytes (10^9 bytes); None where the system does not tell."""
        from ..lipforcing.stream.meter import peak_memory

        with contextlib.suppress(OSError):
            return peak_memory(self._device) / GIGABYTE
        return None


def log_run(numbers: FrameNumbers, peak: float | None, student: RunningStudent) -> None:
    """One line about a finished run: time, memory, and what of the student stayed on the device."""
    said = f"Lip Forcing: {numbers.done} frames in {numbers.seconds:.1f} s, first {numbers.first_frame_seconds:.2f} s"
    if numbers.fps is not None:
        said += f", then {numbers.fps:.1f} per second ({numbers.realtime:.2f} x real time)"
    if peak is not None:
        said += f"; peak memory {peak:.1f} GB on {student.device}"
    resident, whole = (size / GIGABYTE for size in student.sizes)
    said += f"; student {resident:.1f} of {whole:.1f} GB resident, {whole - resident:.1f} GB offloaded."
    logging.info(said)
