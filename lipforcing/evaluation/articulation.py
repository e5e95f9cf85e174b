"""What the lips do over a clip: closures, opening, pauses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..media import ImagePicture
from .batches import Batch
from .closure import closure
from .lips import LipReader
from .opening import agreement, loudness
from .pauses import closed_share, moving_share, pause_frames, silent_frames
from .phonemes import Phoneme


class ArticulationMeasure:
    """Gaps of result and reference, against each other and against the sound.

    Args:
        reader: see ``LipReader``.
        waveform: the result's sound, mono [samples] at 16 kHz; None without one.
        phonemes: of the sound; None where nobody knows them.
    """

    def __init__(
        self, reader: LipReader, waveform: Tensor | None = None, phonemes: Sequence[Phoneme] | None = None
    ) -> None:
        self._reader, self._waveform, self._phonemes = reader, waveform, phonemes
        self._indices: list[int] = []
        self._gaps: list[Tensor] = []  # [2, T]

    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        self._indices += batch.indices
        sides = zip((batch.result_frames, batch.reference_frames), batch.matrices)
        self._gaps.append(torch.stack([self._reader([ImagePicture(f) for f in x], matrices) for x, matrices in sides]))

    def values(self) -> dict[str, float]:
        """Figures of the clip."""
        if not self._indices:
            return {}
        gaps = torch.full((2, self._indices[-1] + 1), torch.nan)
        gaps[:, self._indices] = torch.cat(self._gaps, 1)
        found: dict[str, float | None] = {}
        if follows := agreement(gaps[0], gaps[1]):
            found |= {"opening": follows.correlation, "opening_best": follows.best, "opening_lag": abs(follows.lag)}
            found |= {"opening_mean": follows.mean, "opening_95": follows.high}
        for suffix, gap in zip(("", "_reference"), gaps):
            found |= {f"{key}{suffix}": value for key, value in self._by_sound(gap).items()}
        return {key: float(value) for key, value in found.items() if value is not None}

    def _by_sound(self, gap: Tensor) -> dict[str, float | None]:
        """Figures of gaps [T] against the sound."""
        found: dict[str, float | None] = {}
        if self._waveform is not None:
            follows = agreement(gap, loudness(self._waveform, len(gap)))
            found |= {
                "opening_sound": follows and follows.best,
                "pauses_moving": moving_share(gap, pause_frames(self._waveform, len(gap))),
                "silence_closed": closed_share(gap, silent_frames(self._waveform, len(gap))),
            }
        if self._phonemes is not None:
            made = closure(gap, self._phonemes)
            found |= {"closure_precision": made.precision, "closure_recall": made.recall, "closure_f1": made.f1}
        return found
