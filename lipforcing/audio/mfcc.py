"""The mel-frequency cepstra that SyncNet listens to.

The defaults of python_speech_features 0.6 (docs/model.md, SyncNet), which differ from those of most other libraries in
pre-emphasis, rectangular window, liftering and in the log frame energy that replaces the first cepstrum.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from .mel import mel_points, triangles

PREEMPHASIS = 0.97
FILTERS = 26
CEPSTRA = 13
LIFTER = 22
SILENCE = 2.220446049250313e-16  # float64 epsilon stands for an energy of zero, whose logarithm is not finite


def mfcc(samples: torch.Tensor, sample_rate: int = 16_000, previous: float = 0.0) -> torch.Tensor:
    """Mel-frequency cepstral coefficients: 25 ms rectangular windows every 10 ms.

    Args:
        samples: mono [L], scaled like 16-bit integers (+-32768). The first cepstrum is a log energy, so the
            scale matters: samples in [-1, 1] would shift it by about 21.
        sample_rate: in Hz.
        previous: the sample before the first one, where this is a later piece of a recording.

    Returns:
        [1 + ceil((L - 400) / 160), 13] float64 (figures for 16 kHz), the last window padded with zeros.
    """
    window, hop = _half_up(0.025 * sample_rate), _half_up(0.01 * sample_rate)
    fft = 1 << max(window - 1, 0).bit_length()
    signal = samples.to(torch.float64)
    signal = signal - PREEMPHASIS * torch.cat([signal.new_tensor([previous]), signal[:-1]])
    hops = max(0, -(-(len(signal) - window) // hop))
    signal = F.pad(signal, (0, hops * hop + window - len(signal)))
    power = torch.fft.rfft(signal.unfold(0, window, hop), fft).abs().square() / fft

    # Triangle corners are rounded down to whole bins, as the library does.
    corners = ((fft + 1) * mel_points(0, sample_rate / 2, FILTERS) / sample_rate).floor()
    filters = triangles(corners, torch.arange(fft // 2 + 1, dtype=torch.float64)).to(power.device)
    log_mel = _log(power @ filters.T)
    cepstra = log_mel @ _cosines(FILTERS, CEPSTRA).to(power.device).T
    lift = 1 + LIFTER / 2 * torch.sin(math.pi * torch.arange(CEPSTRA, dtype=torch.float64) / LIFTER)
    cepstra = cepstra * lift.to(power.device)
    return torch.cat([_log(power.sum(1, keepdim=True)), cepstra[:, 1:]], dim=1)


def _half_up(value: float) -> int:
    return math.floor(value + 0.5)


def _log(energy: torch.Tensor) -> torch.Tensor:
    return torch.where(energy == 0, SILENCE, energy).log()


def _cosines(inputs: int, outputs: int) -> torch.Tensor:
    """Orthonormal cosine transform (type II), its first rows: [outputs, inputs]."""
    k = torch.arange(outputs, dtype=torch.float64)[:, None]
    n = torch.arange(inputs, dtype=torch.float64)
    rows = torch.cos(math.pi * k * (2 * n + 1) / (2 * inputs)) * math.sqrt(2 / inputs)
    rows[0] /= math.sqrt(2)
    return rows
