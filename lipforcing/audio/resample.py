"""Change of sample rate."""

from __future__ import annotations

import math

import av
import numpy as np
import torch

from ..timeline import SAMPLE_RATE

# FFmpeg's default filter, given to torchaudio as well so that both back-ends agree: a sinc of 16 zero crossings
# on either side under a Kaiser window, cut off at 97 % of the target's Nyquist frequency.
WIDTH = 16
CUTOFF = 0.97
KAISER_BETA = 9.0


def resample(waveform: torch.Tensor, source_rate: int, target_rate: int = SAMPLE_RATE) -> torch.Tensor:
    """Resample float audio [channels, samples] to ``target_rate``: [channels, ceil(samples * target / source)].

    Sample 0 stays at time 0; beyond its ends the recording counts as silence. torchaudio does it where it
    imports, else the resampler that PyAV brings. For white noise of 0.1 RMS between the usual rates from 8 to
    96 kHz the two differ by at most 4.1e-4 of full scale (measured).

    Raises:
        ValueError: a rate is not positive.
    """
    if source_rate <= 0 or target_rate <= 0:
        raise ValueError(f"sample rates must be positive, got {source_rate} and {target_rate} Hz")
    samples = -(-waveform.shape[-1] * target_rate // source_rate)
    if source_rate == target_rate or samples == 0:
        return waveform
    by_torchaudio = _torchaudio_resample()
    if by_torchaudio is None:
        return resample_with_pyav(waveform, source_rate, target_rate)
    lower = min(source_rate, target_rate)
    return by_torchaudio(
        waveform.float(),
        source_rate,
        target_rate,
        lowpass_filter_width=WIDTH,
        rolloff=min(CUTOFF * target_rate, source_rate) / lower,
        resampling_method="sinc_interp_kaiser",
        beta=KAISER_BETA,
    )[:, :samples]


def _torchaudio_resample():
    try:
        from torchaudio.functional import resample as function
    except (ImportError, OSError, RuntimeError):  # absent, or built for another torch than the one that runs
        return None
    return function


def resample_with_pyav(waveform: torch.Tensor, source_rate: int, target_rate: int) -> torch.Tensor:
    """The same as ``resample``, always with PyAV; computed on the CPU."""
    samples = -(-waveform.shape[-1] * target_rate // source_rate)
    # FFmpeg mirrors the signal at its ends. Silence on both sides, a whole number of samples at either rate,
    # keeps the mirror out of the recording.
    step = source_rate // math.gcd(source_rate, target_rate)
    silence = step * -(-2 * WIDTH * max(1, -(-source_rate // target_rate)) // step)
    skipped = silence * target_rate // source_rate
    padded = torch.nn.functional.pad(waveform.float().cpu(), (silence, 2 * silence))
    channels = [_pyav_channel(channel.numpy(), source_rate, target_rate) for channel in padded]
    return torch.from_numpy(np.stack(channels)[:, skipped : skipped + samples]).to(waveform.device)


def _pyav_channel(channel: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    resampler = av.AudioResampler("fltp", "mono", target_rate)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channel)[None], format="fltp", layout="mono")
    frame.sample_rate = source_rate
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([piece.to_ndarray()[0] for piece in pieces])
