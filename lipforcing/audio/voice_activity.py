"""Where somebody speaks: Silero's voice activity detector (silero-vad 6.2.3), whose weights come with the package.

It gives, for every chunk of 32 ms and from what was heard so far alone, the probability that the chunk is speech.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from ..timeline import SAMPLE_RATE, SAMPLES_PER_FRAME

WEIGHTS = Path(__file__).parent / "weights" / "silero_vad.safetensors"
CHUNK = 512  # samples
CONTEXT = 64  # samples before a chunk that are heard again with it
WINDOW, HOP = 256, 128  # of the spectrum, in samples
WIDTH = 128

# The package's defaults.
SPEECH, SILENCE = 0.5, 0.35  # probability from which speech begins, and below which it ends
MIN_SPEECH, MIN_SILENCE, PADDING = 0.25, 0.1, 0.03  # seconds

State = tuple[torch.Tensor, torch.Tensor]


class SileroVAD(nn.Module):
    """The network for 16 kHz: magnitude spectrum, four convolutions, one recurrent cell."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(WINDOW // 2 + 1, 128, 3, 1, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, 2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, 2, padding=1)
        self.conv4 = nn.Conv1d(64, WIDTH, 3, 1, padding=1)
        self.lstm_cell = nn.LSTMCell(WIDTH, WIDTH)
        self.final_conv = nn.Conv1d(WIDTH, 1, 1)
        self.register_buffer("hann", torch.hann_window(WINDOW), persistent=False)

    def forward(self, samples: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        """Probability of speech in the next chunk.

        Args:
            samples: [B, 576] in [-1, 1], the chunk behind its context, which is zeros at the start.
            state: as returned for the chunk before; None at the start.

        Returns:
            probabilities [B]; state.
        """
        frames = F.pad(samples, (0, CONTEXT), mode="reflect").unfold(-1, WINDOW, HOP)
        x = torch.fft.rfft(frames * self.hann).abs().mT
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(convolution(x))
        hidden, cell = self.lstm_cell(x[..., 0], state)
        return self.final_conv(F.relu(hidden)[..., None]).sigmoid().flatten(), (hidden, cell)


def load_network(device: torch.device | str | None = None) -> SileroVAD:
    """The network with the weights of the package, for inference."""
    network = SileroVAD()
    network.load_state_dict(load_file(WEIGHTS))
    return network.eval().requires_grad_(False).to(device or torch.get_default_device())


class VoiceActivity:
    """Listens to one stream of sound; what comes out does not depend on the sizes in which it is pushed.

    Args:
        network: by default a new one; several streams may share it.
    """

    def __init__(self, network: SileroVAD | None = None) -> None:
        self._network = network or load_network()
        self._samples = self._network.hann.new_zeros(CONTEXT)  # context and what is not a whole chunk yet
        self._state: State | None = None

    @torch.inference_mode()
    def push(self, samples: torch.Tensor) -> torch.Tensor:
        """Take the next mono samples (float [n] in [-1, 1], 16 kHz); probabilities [k] of the chunks now complete."""
        self._samples = torch.cat([self._samples, samples.to(self._samples)])
        chunks = (len(self._samples) - CONTEXT) // CHUNK
        found = [self._samples.new_zeros(0)]
        for start in range(0, chunks * CHUNK, CHUNK):
            # One by one, for a convolution of several chunks may round otherwise than that of one.
            probability, self._state = self._network(self._samples[None, start : start + CONTEXT + CHUNK], self._state)
            found.append(probability)
        self._samples = self._samples[chunks * CHUNK :].clone()
        return torch.cat(found)

    def finish(self) -> torch.Tensor:
        """Probability [1] of the last, unfinished chunk, which counts as followed by silence; [0] without one."""
        missing = (CONTEXT - len(self._samples)) % CHUNK
        return self.push(self._samples.new_zeros(missing))


def speech_segments(probabilities: torch.Tensor, seconds: float | None = None) -> list[tuple[float, float]]:
    """Where speech begins and ends, by the package's rule with its defaults.

    Speech begins with a chunk from ``SPEECH`` on, and ends with the first chunk below ``SILENCE`` of those after which
    no other reaches ``SPEECH`` for ``MIN_SILENCE``. What then lasts longer than ``MIN_SPEECH`` is a segment, and grows
    by ``PADDING`` at either end or to the middle of a shorter gap.

    Args:
        probabilities: [k], one per chunk from the start of the sound.
        seconds: length of the sound, by default that of the chunks.

    Returns:
        (start, end) in seconds, in order.
    """
    chunk = CHUNK / SAMPLE_RATE
    length = len(probabilities) * chunk if seconds is None else seconds
    segments: list[tuple[float, float]] = []
    start = end = None
    for number, probability in enumerate(probabilities.tolist()):
        now = number * chunk
        if probability >= SPEECH:
            start = now if start is None else start
            end = None
        elif probability < SILENCE and start is not None:
            end = now if end is None else end
            if now - end >= MIN_SILENCE:
                segments.append((start, end))
                start = end = None
    if start is not None:
        segments.append((start, length))
    return _padded([(start, end) for start, end in segments if end - start > MIN_SPEECH], length)


def _padded(segments: list[tuple[float, float]], length: float) -> list[tuple[float, float]]:
    ends_before = [-2 * PADDING] + [end for _, end in segments[:-1]]
    starts_after = [start for start, _ in segments[1:]] + [length + 2 * PADDING]
    return [
        (max(0.0, start - min(PADDING, (start - before) / 2)), min(length, end + min(PADDING, (after - end) / 2)))
        for (start, end), before, after in zip(segments, ends_before, starts_after)
    ]


def per_frame(probabilities: torch.Tensor, frames: int) -> torch.Tensor:
    """Probability of speech during each of the first 25 fps frames: [frames].

    A frame of 40 ms touches two chunks of 32 ms and takes the larger probability; beyond the last chunk it is silence.
    """
    first = torch.arange(frames, device=probabilities.device) * SAMPLES_PER_FRAME // CHUNK
    touched = frames * SAMPLES_PER_FRAME // CHUNK + 2
    chunks = F.pad(probabilities, (0, max(0, touched - len(probabilities))))
    return torch.maximum(chunks[first], chunks[first + 1])
