"""wav2vec2 as an audio encoder: over the whole recording, as in the reference, or through a moving window."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from ..timeline import FPS, SAMPLES_PER_FRAME, frames_for_samples
from .base import LIVE, Window
from .wav2vec2 import BLOCK, NORMALISE_EPS, SampleConvolutions, Wav2Vec2, normalise

#: Bytes that encoding a whole recording may take beside the weights; this decides ``max_seconds``.
WHOLE_MEMORY = 2e9

# What a stream expects before it has heard anything: speech at -26 dB, the nominal level of ITU-T P.56, neighbouring
# samples of which correlate as they do in speech at 16 kHz.
SPEECH_LEVEL = 0.05
SPEECH_CORRELATION = 0.9
PRIOR_ROWS = 25

SILENCE_LEVEL = 1e-3  # rows whose root mean square is below -60 dB do not count in the statistics


@dataclass(frozen=True)
class Wav2Vec2Encoder:
    """An ``AudioEncoder``; in one of two modes.

    *Whole*, ``window`` None: what the reference computes. The samples are normalised over the recording, then padded
    with silence to whole rows; group norm and attention see all of it. Nothing is final before the end.

    *Windowed*: latency and memory are constant. Each window is encoded as if it were a clip. What normalises the
    samples and the first convolution's output are statistics from the start of the recording up to the window's last
    row, so that they become those of the whole recording; see ``RunningNorm``. This changes the features, most at
    the start; docs/weights.md tells how much.

    Args:
        network: see ``Wav2Vec2``.
        window: of the windowed mode.
        device: where to compute; by default where the weights are. For hosts that bring these there on use.
    """

    network: Wav2Vec2
    window: Window | None = None
    device: torch.device | None = None

    @property
    def feature_dim(self) -> int:
        return self.network.feature_dim

    @property
    def look_ahead(self) -> float:
        if self.window is None:
            return math.inf
        return (self.window.step + self.window.after) * SAMPLES_PER_FRAME

    @property
    def max_seconds(self) -> float:
        if self.window is not None:
            return math.inf
        return (WHOLE_MEMORY - self.memory(0)) / (self.memory(1) - self.memory(0))

    def memory(self, seconds: float) -> float:
        """Bytes that a whole recording takes beside the weights, its rows included (on a CPU 2 to 20 % less)."""
        config = self.network.config
        block = 4 * BLOCK * config.conv_channels[0] * config.receptive_field // config.conv_strides[0]
        # The result; within a layer its input, query, key, value and two results; the samples, twice.
        row = self.feature_dim + 6 * config.width + 2 * SAMPLES_PER_FRAME
        return 4 * (block + row * FPS * seconds)

    def windowed(self, window: Window = LIVE) -> Wav2Vec2Encoder:
        return replace(self, window=window)

    def stream(self) -> WholeStream | WindowedStream:
        device = self.device or next(self.network.parameters()).device
        return WindowedStream(self.network, self.window, device) if self.window else WholeStream(self.network, device)


class WholeStream:
    """See ``AudioStream``; collects what is pushed."""

    def __init__(self, network: Wav2Vec2, device: torch.device) -> None:
        self._network = network
        self._pieces = [torch.zeros(0, device=device)]

    def push(self, samples: torch.Tensor) -> torch.Tensor:
        self._pieces.append(samples.to(self._pieces[0]))
        return self._pieces[0].new_zeros(0, self._network.feature_dim)

    @torch.no_grad()
    def finish(self, frames: int = 0) -> torch.Tensor:
        waveform = torch.cat(self._pieces)
        self._pieces.clear()
        total = max(frames_for_samples(len(waveform)), frames)
        if total == 0:
            return waveform.new_zeros(0, self._network.feature_dim)
        return self._network(F.pad(normalise(waveform), (0, total * SAMPLES_PER_FRAME - len(waveform))))


class WindowedStream:
    """See ``AudioStream``. All work is done in steps that depend on row numbers alone, not on the pushes."""

    def __init__(self, network: Wav2Vec2, window: Window, device: torch.device) -> None:
        self._network, self._window = network, window
        self._norm = RunningNorm.start(network.feature_extractor, device)
        self._heard = self._done = 0  # samples taken, rows given out
        self._rows = torch.zeros(0, network.config.width, device=device)  # projected, from `before` rows before `_done`
        self._samples = torch.zeros(0, device=device)  # what follows these rows

    @torch.no_grad()
    def push(self, samples: torch.Tensor) -> torch.Tensor:
        self._heard += len(samples)
        self._samples = torch.cat([self._samples, samples.to(self._samples)])
        rows, final = self._heard // SAMPLES_PER_FRAME, self._none()
        while self._done + self._window.step + self._window.after <= rows:
            final.append(self._step(rows))
        return torch.cat(final)

    @torch.no_grad()
    def finish(self, frames: int = 0) -> torch.Tensor:
        total, final = max(frames_for_samples(self._heard), frames), self._none()
        self._samples = F.pad(self._samples, (0, total * SAMPLES_PER_FRAME - self._heard))
        while self._done < total:
            final.append(self._step(total))
        return torch.cat(final)

    def _none(self) -> list[torch.Tensor]:
        return [self._samples.new_zeros(0, self._network.feature_dim)]

    def _step(self, total: int) -> torch.Tensor:
        """The next rows [step, D], or as many as ``total`` leaves; the samples of ``after`` further ones are there."""
        begin = max(0, self._done - self._window.before)
        end = min(self._done + self._window.step, total)
        stop = min(end + self._window.after, total)
        rows = self._rows
        if fresh := (stop - begin - len(rows)) * SAMPLES_PER_FRAME:
            samples, self._samples = self._samples[:fresh], self._samples[fresh:]
            self._norm = self._norm.updated(samples)
            convolved = self._network.feature_extractor(samples, self._norm.scale_and_shift())
            rows = torch.cat([rows, *map(self._network.feature_projection, convolved)])
        features = self._network.encoder(rows)[self._done - begin : end - begin].clone()  # a view would keep all rows
        self._rows, self._done = rows[max(0, end - self._window.before) - begin :], end
        return features


@dataclass(frozen=True)
class RunningNorm:
    """What normalises samples and the first convolution's output in a stream: statistics since its start.

    They begin as if ``PRIOR_ROWS`` rows of speech at ordinary level had been heard, and leave out silent rows; so
    neither noise before the first word nor a long pause is taken for speech and amplified.

    Attributes:
        rows: [] number of rows behind the moments.
        moments: [2 C + 1] mean of the convolution's C channels, of their squares, and of the samples' squares.
    """

    convolutions: SampleConvolutions
    rows: torch.Tensor
    moments: torch.Tensor

    @classmethod
    def start(cls, convolutions: SampleConvolutions, device: torch.device) -> RunningNorm:
        kernels = convolutions.conv_layers[0].conv.weight.to(device, torch.float32)[:, 0]
        taps = torch.arange(kernels.shape[1], device=device)
        covariance = SPEECH_LEVEL**2 * SPEECH_CORRELATION ** (taps[:, None] - taps).abs()
        power = ((kernels @ covariance) * kernels).sum(1)
        moments = torch.cat([torch.zeros_like(power), power, covariance[0, :1]])
        return cls(convolutions, torch.full((), PRIOR_ROWS, device=device, dtype=torch.float32), moments)

    def updated(self, samples: torch.Tensor) -> RunningNorm:
        """With further rows, [640 k] samples."""
        rows, moments = self.rows, self.moments
        for block in self.convolutions.windows(samples):
            x = self.convolutions.conv_layers[0](block[:, None])
            power = block.square().mean(1, keepdim=True)
            sound = (power > SILENCE_LEVEL**2).float()
            found = torch.cat([x.mean(2), x.square().mean(2), power], dim=1)
            rows = rows + sound.sum()
            moments = moments + (sound * (found - moments)).sum(0) / rows
        return RunningNorm(self.convolutions, rows, moments)

    def scale_and_shift(self) -> tuple[torch.Tensor, torch.Tensor]:
        """See ``SampleConvolutions.norm``."""
        channels = len(self.moments) // 2
        mean, square, power = self.moments.split([channels, channels, 1])
        return self.convolutions.norm(mean, square - mean.square(), power + NORMALISE_EPS)
