"""Sync-C (LSE-C), Sync-D (LSE-D) and the audio-video offset of a talking face (distillation fact sheet 6.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F

from ..timeline import FPS, SAMPLES_PER_FRAME
from .model import WINDOW_FRAMES, SyncNet
from .windows import AudioTrack, lip_embeddings, to_pcm16

MAX_SHIFT = 15  # frames searched on either side
SHIFTS = 2 * MAX_SHIFT + 1
CURVE_MEDIAN = 9

# Fewer windows than shifts, and some shift compares less than half of them with real audio.
MIN_WINDOWS = SHIFTS
MIN_FRAMES = MIN_WINDOWS + WINDOW_FRAMES

SILENCE_RMS = 10 ** (-60 / 20)


class Verdict(str, Enum):
    """Why a clip has no trustworthy sync figures."""

    SILENT = "silent audio"
    TOO_SHORT = "too few frames"
    EDGE = "offset at the edge of the search range"


@dataclass(frozen=True)
class SyncFigures:
    """Figures read off the mean distance over the shift of the audio.

    Attributes:
        confidence: median minus minimum of ``mean_distances`` (Sync-C, LSE-C); higher is better.
        distance: minimum of ``mean_distances`` (Sync-D, LSE-D); lower is better.
        offset: audio-video offset in frames of 40 ms, -15 ... 15; audio window i - offset fits lip window i
            best, so a positive offset means that the audio is ahead of the video.
        mean_distances: [31] mean embedding distance with the audio shifted by -15 ... 15 windows.
    """

    confidence: float
    distance: float
    offset: int
    mean_distances: torch.Tensor


@dataclass(frozen=True)
class SyncReport:
    """How well a face follows a recording.

    ``confidence``, ``distance`` and ``offset`` are None where there is a verdict instead; ``padded`` and
    ``overlap`` always hold what the formulas give, for statistics over many clips.

    Attributes:
        windows: number N of five-frame windows compared.
        verdict: why the figures say nothing about this clip, or None.
        padded: figures as the field defines them: audio beyond the clip's ends counts as zero vectors, which
            makes clips of different lengths not quite comparable. None if N = 0.
        overlap: figures over the overlapping windows alone, comparable between lengths. None if N <= 15.
        curve: [N] float32 confidence of each window at the clip's offset (``padded``), median-filtered over
        9.
    """

    windows: int
    verdict: Verdict | None
    padded: SyncFigures | None
    overlap: SyncFigures | None
    curve: torch.Tensor

    @property
    def confidence(self) -> float | None:
        """Sync-C (LSE-C)."""
        return self.padded.confidence if self.verdict is None else None

    @property
    def distance(self) -> float | None:
        """Sync-D (LSE-D)."""
        return self.padded.distance if self.verdict is None else None

    @property
    def offset(self) -> int | None:
        """Audio-video offset in frames."""
        return self.padded.offset if self.verdict is None else None

    @property
    def seconds(self) -> torch.Tensor:
        """Time in seconds of the middle of each window of ``curve``: [N]."""
        return (torch.arange(self.windows) + WINDOW_FRAMES / 2) / FPS


@torch.no_grad()
def score(
    model: SyncNet,
    crops: torch.Tensor | Iterable[torch.Tensor],
    waveform: torch.Tensor,
    batch: int = 32,
) -> SyncReport:
    """Score one face track against a recording that starts with it.

    Holds one batch of crops and the embeddings of about 30 windows beside it, whatever the length of the
    clip.

    Args:
        model: SyncNet in evaluation mode, on the device to work on.
        crops: uint8 [T, H, W, 3] RGB face crops at 25 frames per second, or an iterable of such pieces.
        waveform: mono float [samples] in [-1, 1] at 16 kHz.
        batch: frames passed through the lip network at a time.

    Raises:
        ValueError: the model is in training mode, where batch norms would use and change running statistics.
    """
    if model.training:
        raise ValueError("SyncNet must be in evaluation mode to score: call model.eval() first")
    pcm = to_pcm16(waveform.cpu())
    audio = AudioTrack(model, pcm)
    lips = lip_embeddings(model, crops, batch)
    rows = [row.float().cpu() for row in distances(lips, audio.embeddings, audio.windows)]
    return report(torch.cat(rows) if rows else torch.zeros(0, SHIFTS), pcm)


def distances(
    lips: Iterable[torch.Tensor], audio: Callable[[int, int], torch.Tensor], audio_windows: int
) -> Iterator[torch.Tensor]:
    """Distance of every lip window to the audio windows around it, as a stream.

    Args:
        lips: lip embeddings [k, E] of successive windows. The last one is never used, as in the reference.
        audio: ``audio(first, end)`` gives the audio embeddings [end - first, E] of these windows; called with
            successive ranges.
        audio_windows: number of usable audio windows.

    Yields:
        [k, 31] for successive windows i; column j compares with audio window i + j - 15, or with a zero
        vector where the clip, N = min(lip windows - 1, audio_windows) long, has no such window.
    """
    pending, heard, first = None, None, 0  # lip windows from ``first`` on, audio windows from first - 15 on
    for block in lips:
        if pending is None:
            pending, heard = block, block.new_zeros(MAX_SHIFT, block.shape[1])
        else:
            pending = torch.cat([pending, block])
        total = min(first + len(pending) - 1, audio_windows)
        known = first + len(heard) - MAX_SHIFT
        if total > known:
            heard = torch.cat([heard, audio(known, total)])
        ready = total - MAX_SHIFT - first
        if ready > 0:
            yield _compare(pending[:ready], heard[: ready + 2 * MAX_SHIFT])
            pending, heard, first = pending[ready:], heard[ready:], first + ready
        if total == audio_windows:
            break
    if pending is not None and len(heard) > MAX_SHIFT:
        rest = min(len(pending) - 1, len(heard) - MAX_SHIFT)
        yield _compare(pending[:rest], F.pad(heard, (0, 0, 0, MAX_SHIFT)))


def _compare(lips: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """Distances [k, 31] of lips [k, E] to audio [k + 30, E]: lip i against audio i ... i + 30."""
    return F.pairwise_distance(lips[:, None], audio.unfold(0, SHIFTS, 1).transpose(1, 2))


def report(rows: torch.Tensor, pcm: torch.Tensor) -> SyncReport:
    """Sum up the distances [N, 31] of all windows and the recording int16 [samples] they come from."""
    windows = len(rows)
    if windows == 0:
        return SyncReport(0, Verdict.TOO_SHORT, None, None, rows.new_zeros(0))
    padded = figures(rows.mean(0))
    overlap = figures(_overlap_mean(rows)) if windows > MAX_SHIFT else None
    curve = padded.mean_distances.median() - rows[:, MAX_SHIFT - padded.offset]
    verdict = None
    if windows < MIN_WINDOWS:
        verdict = Verdict.TOO_SHORT
    elif _silent(pcm[: (windows + WINDOW_FRAMES) * SAMPLES_PER_FRAME]):
        verdict = Verdict.SILENT
    elif abs(padded.offset) == MAX_SHIFT:
        verdict = Verdict.EDGE
    return SyncReport(windows, verdict, padded, overlap, _median_filter(curve))


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


def _median_filter(curve: torch.Tensor) -> torch.Tensor:
    """Running median of a curve [N] that continues with its end values."""
    side = CURVE_MEDIAN // 2
    longer = torch.cat([curve[:1].expand(side), curve, curve[-1:].expand(side)])
    return longer.unfold(0, CURVE_MEDIAN, 1).median(1).values


def _silent(pcm: torch.Tensor) -> bool:
    """Whether no video frame of the recording is louder than -60 dB of full scale (a constant is silence)."""
    frames = pcm[: len(pcm) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].reshape(-1, SAMPLES_PER_FRAME)
    return bool(frames.float().div(32768).std(1).max() < SILENCE_RMS)
