"""Sync-C (LSE-C), Sync-D (LSE-D) and the audio-video offset of a talking face (docs/model.md, SyncNet)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from ..models.syncnet import SyncNet
from .report import MAX_SHIFT, SHIFTS, SyncReport, report
from .windows import AudioTrack, LipTrack, to_pcm16


@torch.no_grad()
def score(
    model: SyncNet, crops: torch.Tensor | Iterable[torch.Tensor], waveform: torch.Tensor, batch: int = 32
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
    scorer = Scorer(model, waveform)
    for piece in [crops] if isinstance(crops, torch.Tensor) else crops:
        for part in piece.split(batch):
            scorer.push(part)
        if scorer.finished:
            break
    return scorer.report()


class Scorer:
    """``score`` for crops that come piece by piece, as several faces of one video do at the same time.

    Args:
        model, waveform: see ``score``.

    Raises:
        ValueError: the model is in training mode.
    """

    def __init__(self, model: SyncNet, waveform: torch.Tensor) -> None:
        if model.training:
            raise ValueError("SyncNet must be in evaluation mode to score: call model.eval() first")
        self._pcm = to_pcm16(waveform.cpu())
        audio = AudioTrack(model, self._pcm)
        self._lips = LipTrack(model)
        self._clear = model.config.clear
        self._distances = Distances(audio.embeddings, audio.windows)
        self._rows: list[torch.Tensor] = []

    @property
    def finished(self) -> bool:
        """Whether the audio has ended, so that further crops change nothing."""
        return self._distances.finished

    @torch.no_grad()
    def push(self, crops: torch.Tensor) -> None:
        """Continue with crops uint8 [T, H, W, 3]; they go through the lip network at once."""
        self._keep(self._distances.push(self._lips(crops)))

    @torch.no_grad()
    def report(self) -> SyncReport:
        """Close the clip and sum up."""
        self._keep(self._distances.close())
        return report(torch.cat(self._rows), self._pcm, self._clear)

    def _keep(self, rows: torch.Tensor) -> None:
        self._rows.append(rows.float().cpu())


class Distances:
    """Distance of every lip window to the audio windows around it, as a stream.

    Rows come as [k, 31] for successive windows i; column j compares with audio window i + j - 15, or with a zero
    vector where the clip, N = min(lip windows - 1, audio_windows) long, has no such window.

    Args:
        audio: ``audio(first, end)`` gives the audio embeddings [end - first, E] of these windows; called with
            successive ranges.
        audio_windows: number of usable audio windows.
    """

    def __init__(self, audio: Callable[[int, int], torch.Tensor], audio_windows: int) -> None:
        self._audio = audio
        self._audio_windows = audio_windows
        self._lips: torch.Tensor | None = None  # lip windows from ``_first`` on
        self._heard: torch.Tensor | None = None  # audio windows from ``_first`` - 15 on
        self._first = 0

    @property
    def finished(self) -> bool:
        """Whether there is no audio for further lip windows."""
        return self._lips is not None and self._first + len(self._heard) - MAX_SHIFT == self._audio_windows

    def push(self, lips: torch.Tensor) -> torch.Tensor:
        """Rows that are complete with the lip embeddings [k, E] of the next windows.

        The clip's very last window is never used, as in the reference.
        """
        if self._lips is None:
            self._lips, self._heard = lips, lips.new_zeros(MAX_SHIFT, lips.shape[1])
        else:
            self._lips = torch.cat([self._lips, lips])
        total = min(self._first + len(self._lips) - 1, self._audio_windows)
        known = self._first + len(self._heard) - MAX_SHIFT
        if total > known:
            self._heard = torch.cat([self._heard, self._audio(known, total)])
        ready = max(0, total - MAX_SHIFT - self._first)
        rows = _compare(self._lips[:ready], self._heard[: ready + 2 * MAX_SHIFT])
        self._lips, self._heard, self._first = self._lips[ready:], self._heard[ready:], self._first + ready
        return rows

    def close(self) -> torch.Tensor:
        """The remaining rows."""
        if self._lips is None:
            return torch.zeros(0, SHIFTS)
        rest = max(0, min(len(self._lips) - 1, len(self._heard) - MAX_SHIFT))
        return _compare(self._lips[:rest], F.pad(self._heard, (0, 0, 0, MAX_SHIFT)))


def _compare(lips: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """Distances [k, 31] of lips [k, E] to audio [k + 30 or more, E]: lip i against audio i ... i + 30."""
    if len(lips) == 0:
        return lips.new_zeros(0, SHIFTS)
    return F.pairwise_distance(lips[:, None], audio.unfold(0, SHIFTS, 1)[: len(lips)].transpose(1, 2))
