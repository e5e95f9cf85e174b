"""Log-mel rows for the tiny model family: no parameters, no look at the whole clip."""

from __future__ import annotations

import math

import torch

from ..timeline import SAMPLE_RATE, SAMPLES_PER_FRAME, frames_for_samples
from .base import LIVE, Window
from .mel import mel_points, triangles

HOP = SAMPLE_RATE // 100
WINDOW = SAMPLE_RATE // 40
FFT = 512
BANDS = 32
HOPS_PER_FRAME = SAMPLES_PER_FRAME // HOP
# A window is centred on its hop, so it reaches this far beyond it on either side.
OVERHANG = (WINDOW - HOP) // 2
BLOCK = 250  # frames worked on at a time, which bounds the memory

# Level below which everything counts as silence, and the fixed scale that brings speech at ordinary level to
# about zero mean and unit variance. Constants instead of clip statistics, so that a row never depends on
# audio far away.
FLOOR = 1e-6
MEAN = -10.0
SCALE = 3.5


class LogMelEncoder:
    """32 log-mel bands (50 to 7600 Hz, 25 ms Hann window, 10 ms hop), twelve hops per video frame; works on the CPU.

    Row i stacks the hops of frames i - 1, i and i + 1 (hop-major, band fastest): 12 x 32 = 384 values. It depends on
    samples [640 i - 760, 640 i + 1400) alone. Samples outside the recording are silence; a silent row is the constant
    ``(log(FLOOR) - MEAN) / SCALE``.
    """

    feature_dim = 3 * HOPS_PER_FRAME * BANDS
    samples_before = SAMPLES_PER_FRAME + OVERHANG
    look_ahead = 2 * SAMPLES_PER_FRAME + OVERHANG
    max_seconds = math.inf

    def __init__(self) -> None:
        bins = torch.arange(FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / FFT
        filters = triangles(mel_points(50, 7600, BANDS), bins)
        # Unit sum: white noise gives the same energy in every band, however wide.
        filters = filters / filters.sum(1, keepdim=True) / FFT
        # One row for the real part of a bin and one for the imaginary.
        self._filters = filters.repeat_interleave(2, dim=1).T.float().contiguous()
        self._floor = torch.tensor(FLOOR)
        self._window = torch.hann_window(WINDOW, dtype=torch.float64).float()

    def stream(self) -> LogMelStream:
        return LogMelStream(self)

    def windowed(self, window: Window = LIVE) -> LogMelEncoder:
        """Itself."""
        return self

    def hops(self, samples: torch.Tensor) -> torch.Tensor:
        """Scaled log energies of the hops of n frames, [n, 4 x 32], from their samples and 120 more on either side."""
        windows = (samples.unfold(0, WINDOW, HOP) * self._window).view(-1, HOPS_PER_FRAME, WINDOW)
        # Frame by frame where rounding depends on how much is computed at once.
        spectrum = torch.stack([torch.fft.rfft(frame, FFT) for frame in windows])
        power = torch.view_as_real(spectrum).flatten(2).square()
        energy = [torch.addmm(self._floor, frame, self._filters).log() for frame in power]
        return (torch.stack(energy).flatten(1) - MEAN) / SCALE


class LogMelStream:
    """See ``AudioStream``."""

    def __init__(self, encoder: LogMelEncoder) -> None:
        self._encoder = encoder
        self._heard = 0
        self._hops = torch.zeros(0, HOPS_PER_FRAME * BANDS)  # of the two frames before the next; the first is frame -1
        self._samples = torch.zeros(encoder.samples_before)  # of the next frame on, and its overhang

    def push(self, samples: torch.Tensor) -> torch.Tensor:
        self._heard += len(samples)
        held, hops, start = torch.cat([self._samples, samples.float().cpu()]), [self._hops], 0
        while frames := min((len(held) - start - 2 * OVERHANG) // SAMPLES_PER_FRAME, BLOCK):
            end = start + frames * SAMPLES_PER_FRAME
            hops.append(self._encoder.hops(held[start : end + 2 * OVERHANG]))
            start = end
        joined = torch.cat(hops)
        rows = max(0, len(joined) - 2)
        self._hops, self._samples = joined[-2:], held[start:]
        return torch.cat([joined[k : k + rows] for k in range(3)], dim=1)

    def finish(self, frames: int = 0) -> torch.Tensor:
        total = max(frames_for_samples(self._heard), frames)
        silence = (total - 1) * SAMPLES_PER_FRAME + self._encoder.look_ahead - self._heard
        return self.push(torch.zeros(silence))
