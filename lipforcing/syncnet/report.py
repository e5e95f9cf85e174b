"""What was measured of one face against one recording: figures, verdict, curves (docs/model.md, SyncNet)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch

from ..models.syncnet import WINDOW_FRAMES
from ..timeline import FPS, SAMPLES_PER_FRAME

MAX_SHIFT = 15  # frames searched on either side
SHIFTS = 2 * MAX_SHIFT + 1
CURVE_MEDIAN = 9

# Fewer windows than shifts, and some shift compares less than half of them with real audio.
MIN_WINDOWS = SHIFTS

SILENCE_RMS = 10 ** (-60 / 20)


class Verdict(str, Enum):
    """Why a clip has no trustworthy sync figures."""

    NO_FACE = "no face"
    SILENT = "silent audio"
    TOO_SHORT = "too few frames"
    EDGE = "offset at the edge of the search range"
    UNCLEAR = "no clear sync"
    UNUSABLE = "unusable input"


@dataclass(frozen=True)
class SyncFigures:
    """Figures read off the mean distance over the shift of the audio.

    Attributes:
        confidence: median minus minimum of ``mean_distances`` (Sync-C, LSE-C); higher is better.
        distance: minimum of ``mean_distances`` (Sync-D, LSE-D); lower is better.
        offset: audio-video offset in frames of 40 ms, -15 ... 15; audio window i - offset fits lip window i
            best, so a positive offset means that the audio is ahead of the video.
        mean_distances: [31] mean embedding distance with the audio shifted by -15 ... 15 windows, that is at the
            offsets 15 ... -15.
    """

    confidence: float
    distance: float
    offset: int
    mean_distances: torch.Tensor

    def to_dict(self) -> dict:
        """Plain values: ``confidence``, ``distance``, ``offset``, ``distances`` (31, at the offsets -15 ... 15)."""
        return {
            "confidence": self.confidence,
            "distance": self.distance,
            "offset": self.offset,
            "distances": self.mean_distances.flip(0).tolist(),
        }


@dataclass(frozen=True)
class SyncReport:
    """How well a face follows a recording.

    ``confidence``, ``distance`` and ``offset`` are None where there is a verdict instead; of an unclear clip only the
    ``offset`` is, as its low confidence is the finding. ``padded`` and ``overlap`` always hold what the formulas give,
    for statistics over many clips.

    Attributes:
        windows: number N of five-frame windows compared.
        verdict: why the figures say nothing about this clip, or None.
        padded: figures as the field defines them: audio beyond the clip's ends counts as zero vectors, which
            makes clips of different lengths not quite comparable. None if N = 0.
        overlap: figures over the overlapping windows alone, comparable between lengths. None if N <= 15.
        curve: [N] float32 confidence of each window at the clip's offset (``padded``), median-filtered over 9.
        per_second: [S, 3] float32, one row for every begun second of windows: mean of the unfiltered ``curve``;
            confidence of that second alone (median minus minimum of its own mean distances); offset of that second
            alone. A second is 25 windows: its own figures show drift and dropouts, and are noisier than the clip's.
    """

    windows: int
    verdict: Verdict | None
    padded: SyncFigures | None
    overlap: SyncFigures | None
    curve: torch.Tensor
    per_second: torch.Tensor

    @classmethod
    def without_figures(cls, verdict: Verdict) -> SyncReport:
        """Report of nothing that could be compared."""
        return cls(0, verdict, None, None, torch.zeros(0), torch.zeros(0, 3))

    @property
    def confidence(self) -> float | None:
        """Sync-C (LSE-C)."""
        return self.padded.confidence if self.verdict in (None, Verdict.UNCLEAR) else None

    @property
    def distance(self) -> float | None:
        """Sync-D (LSE-D)."""
        return self.padded.distance if self.verdict in (None, Verdict.UNCLEAR) else None

    @property
    def offset(self) -> int | None:
        """Audio-video offset in frames."""
        return self.padded.offset if self.verdict is None else None

    @property
    def seconds(self) -> torch.Tensor:
        """Time in seconds of the middle of each window of ``curve``: [N]."""
        return (torch.arange(self.windows) + WINDOW_FRAMES / 2) / FPS

    def to_dict(self) -> dict:
        """Plain values for JSON, under keys that stay.

        ``verdict`` (text or None), ``confidence``, ``distance``, ``offset`` (None where there is a verdict, see above),
        ``windows``, ``padded`` and ``overlap`` (see ``SyncFigures.to_dict``, or None), ``curve`` (a list; value i lies
        at (i + 2.5) / 25 s) and ``per_second`` (a list of ``second``, ``confidence``, ``own_confidence``,
        ``own_offset``).
        """
        return {
            "verdict": self.verdict and self.verdict.value,
            "confidence": self.confidence,
            "distance": self.distance,
            "offset": self.offset,
            "windows": self.windows,
            "padded": self.padded and self.padded.to_dict(),
            "overlap": self.overlap and self.overlap.to_dict(),
            "curve": self.curve.tolist(),
            "per_second": [
                {"second": second, "confidence": mean, "own_confidence": own, "own_offset": int(offset)}
                for second, (mean, own, offset) in enumerate(self.per_second.tolist())
            ],
        }


def report(rows: torch.Tensor, pcm: torch.Tensor, clear: float | None = None) -> SyncReport:
    """Sum up the distances [N, 31] of all windows and the recording int16 [samples] they come from.

    ``clear``: see ``SyncNetConfig``. The mean of N windows of sound that does not fit spreads as the root of 1 / N.
    """
    windows = len(rows)
    if windows == 0:
        return SyncReport.without_figures(Verdict.TOO_SHORT)
    padded = figures(rows.mean(0))
    overlap = figures(_overlap_mean(rows)) if windows > MAX_SHIFT else None
    curve = padded.mean_distances.median() - rows[:, MAX_SHIFT - padded.offset]
    verdict = None
    if windows < MIN_WINDOWS:
        verdict = Verdict.TOO_SHORT
    elif _silent(pcm[: (windows + WINDOW_FRAMES) * SAMPLES_PER_FRAME]):
        verdict = Verdict.SILENT
    elif clear is not None and padded.confidence < clear / windows**0.5:
        verdict = Verdict.UNCLEAR
    elif abs(padded.offset) == MAX_SHIFT:
        verdict = Verdict.EDGE
    return SyncReport(windows, verdict, padded, overlap, _median_filter(curve), _per_second(rows, curve))


def figures(mean_distances: torch.Tensor) -> SyncFigures:
    """Confidence, distance and offset of mean distances [31]."""
    distance, at = mean_distances.min(0)
    confidence = mean_distances.median() - distance
    return SyncFigures(confidence.item(), distance.item(), MAX_SHIFT - at.item(), mean_distances)


def _overlap_mean(rows: torch.Tensor) -> torch.Tensor:
    """Mean [31] of distances [N, 31], N > 15, over the windows that have a partner inside the clip."""
    partner = torch.arange(len(rows))[:, None] + torch.arange(SHIFTS) - MAX_SHIFT
    inside = (partner >= 0) & (partner < len(rows))
    return (rows * inside).sum(0) / inside.sum(0)


def _per_second(rows: torch.Tensor, curve: torch.Tensor) -> torch.Tensor:
    """Rows [S, 3] of ``SyncReport.per_second`` from distances [N, 31] and the unfiltered curve [N]."""
    own = [figures(second.mean(0)) for second in rows.split(FPS)]
    means = [second.mean().item() for second in curve.split(FPS)]
    return torch.tensor([[mean, one.confidence, one.offset] for mean, one in zip(means, own)])


def _median_filter(curve: torch.Tensor) -> torch.Tensor:
    """Running median of a curve [N] that continues with its end values."""
    side = CURVE_MEDIAN // 2
    longer = torch.cat([curve[:1].expand(side), curve, curve[-1:].expand(side)])
    return longer.unfold(0, CURVE_MEDIAN, 1).median(1).values


def _silent(pcm: torch.Tensor) -> bool:
    """Whether no video frame of the recording is louder than -60 dB of full scale (a constant is silence)."""
    frames = pcm[: len(pcm) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].reshape(-1, SAMPLES_PER_FRAME)
    return bool(frames.float().div(32768).std(1).max() < SILENCE_RMS)
