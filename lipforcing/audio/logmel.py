"""Log-mel rows for the tiny model family: no parameters, no look at the whole clip."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..timeline import SAMPLE_RATE, SAMPLES_PER_FRAME
from .mel import mel_points, triangles

HOP = SAMPLE_RATE // 100
WINDOW = SAMPLE_RATE // 40
FFT = 512
BANDS = 32
HOPS_PER_FRAME = SAMPLES_PER_FRAME // HOP
CONTEXT = HOPS_PER_FRAME  # hops of context on each side of the frame's own
# A window is centred on its hop, so it reaches this far beyond it on either side.
OVERHANG = (WINDOW - HOP) // 2

# Level below which everything counts as silence, and the fixed scale that brings speech at ordinary level to
# about zero mean and unit variance. Constants instead of clip statistics, so that a row never depends on
# audio far away.
FLOOR = 1e-6
MEAN = -10.0
SCALE = 3.5

# Frames worked on at a time. Always a whole block: it bounds the memory of long recordings, and a product's rounding
# depends on its size, so a row would otherwise depend on how long the recording is.
BLOCK = 250


class LogMelEncoder:
    """32 log-mel bands (50 to 7600 Hz, 25 ms Hann window, 10 ms hop), twelve hops per video frame.

    Row i stacks the hops of frame i - 1, i and i + 1 (hop-major, band fastest): 12 x 32 = 384 values. It
    depends on samples [640 i - 760, 640 i + 1400) alone, so encoding a stream piece by piece gives the rows
    of the whole. Samples outside the waveform are silence; a silent row is the constant ``(log(FLOOR) - MEAN)
    / SCALE``.
    """

    feature_dim = (2 * CONTEXT + HOPS_PER_FRAME) * BANDS
    samples_before = CONTEXT * HOP + OVERHANG
    samples_after = (HOPS_PER_FRAME + CONTEXT) * HOP + OVERHANG

    def __init__(self) -> None:
        bins = torch.arange(FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / FFT
        filters = triangles(mel_points(50, 7600, BANDS), bins)
        # Unit sum: white noise gives the same energy in every band, however wide.
        self._filters = (filters / filters.sum(1, keepdim=True)).float()
        self._window = torch.hann_window(WINDOW, dtype=torch.float64).float()

    def __call__(self, waveform: torch.Tensor, frames: int) -> torch.Tensor:
        """Encode mono [samples] at 16 kHz into [frames, 384] float32 on the waveform's device."""
        rows = [self._rows(waveform, first, first + BLOCK) for first in range(0, frames, BLOCK)]
        return torch.cat(rows)[:frames] if rows else waveform.new_zeros(0, self.feature_dim)

    def _rows(self, waveform: torch.Tensor, first: int, end: int) -> torch.Tensor:
        """Rows [end - first, 384] of video frames first ... end - 1."""
        start = first * SAMPLES_PER_FRAME - self.samples_before
        stop = (end - 1) * SAMPLES_PER_FRAME + self.samples_after
        piece = waveform[max(start, 0) : max(stop, 0)].float()
        left = max(-start, 0)
        piece = F.pad(piece, (left, stop - start - left - len(piece)))
        bands = self._log_mel(piece)
        return bands.unfold(0, 2 * CONTEXT + HOPS_PER_FRAME, HOPS_PER_FRAME).transpose(1, 2).flatten(1)

    def _log_mel(self, samples: torch.Tensor) -> torch.Tensor:
        """Scaled log energies [hops, 32] of all whole windows of [samples]."""
        windows = samples.unfold(0, WINDOW, HOP) * self._window.to(samples.device)
        power = torch.fft.rfft(windows, FFT).abs().square() / FFT
        energy = power @ self._filters.to(samples.device).T
        return ((energy + FLOOR).log() - MEAN) / SCALE
