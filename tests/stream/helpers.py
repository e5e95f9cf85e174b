"""Frames, followers, voices and an untrained family to send through the stream."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lipforcing.codecs.tiny import TinyCodec, TinyCodecConfig
from lipforcing.faces.align import box_matrix
from lipforcing.faces.follow import Seen, Sighting
from lipforcing.media import Frame, ImagePicture
from lipforcing.models import WanConfig, WanTransformer
from lipforcing.sampling.causal import NetworkStudent
from lipforcing.stream.family import Family

SIZE = (64, 48)
CROP = 32


class Loudness:
    """An audio encoder of two numbers per row, each of its own samples alone."""

    feature_dim = 2
    look_ahead = 640.0
    max_seconds = float("inf")

    def stream(self) -> LoudnessStream:
        return LoudnessStream()

    def windowed(self, *_) -> Loudness:
        return self


class LoudnessStream:
    def __init__(self) -> None:
        self.held = torch.zeros(0)

    def push(self, samples: Tensor) -> Tensor:
        samples = torch.cat((self.held, samples.cpu()))
        rows = len(samples) // 640
        self.held = samples[rows * 640 :]
        level = samples[: rows * 640].view(rows, 640).double().square().mean(1).float()  # rounds alike for any number
        self.rows = getattr(self, "rows", 0) + rows
        return torch.stack((10 * level, level.sqrt()), dim=1)

    def finish(self, frames: int = 0) -> Tensor:
        rest = self.push(torch.zeros(-len(self.held) % 640))
        return torch.cat((rest, torch.zeros(max(0, frames - self.rows), 2)))


def small_family(look_ahead: int = 0, seed: int = 0) -> Family:
    """Untrained models of a few thousand numbers; the codec may want to see further frames."""
    torch.manual_seed(seed)
    config = WanConfig(24, 32, 2, 4, text_dim=4, text_len=1, freq_dim=16, audio_dim=2, audio_hidden=4)
    student = WanTransformer(config).requires_grad_(False).eval()
    for parameter in student.parameters():
        torch.nn.init.normal_(parameter, std=max(parameter.shape[-1], 1) ** -0.5)
    codec = (
        TinyCodec(TinyCodecConfig(width=8, blocks=1, decoder_width=8, decoder_blocks=1, smooth_width=4))
        .requires_grad_(False)
        .eval()
    )
    encoder = LookingAhead(codec, look_ahead) if look_ahead else codec
    return Family(NetworkStudent(student), encoder, codec, Loudness(), torch.zeros(1, 1, 4), CROP)


class LookingAhead:
    """A codec that encodes what it sees ``look_ahead`` frames later."""

    spatial_factor, latent_channels = 8, 16

    def __init__(self, codec: TinyCodec, look_ahead: int) -> None:
        self.codec, self.look_ahead = codec, look_ahead

    def encode_stream(self) -> LookingAheadStream:
        return LookingAheadStream(self.codec.encode_stream(), self.look_ahead)


class LookingAheadStream:
    def __init__(self, stream, skip: int) -> None:
        self.stream, self.skip = stream, skip

    def __call__(self, frames: Tensor) -> Tensor:
        frames, self.skip = frames[:, :, self.skip :], 0
        return self.stream(frames)

    def copy(self) -> LookingAheadStream:
        return LookingAheadStream(self.stream.copy(), self.skip)


def picture(shot: int, number: int, size: tuple[int, int] = SIZE) -> ImagePicture:
    """A frame of a shot: a still pattern of its own with a little noise."""
    height, width = size
    pattern = torch.rand(height // 8, width // 8, 3, generator=torch.Generator().manual_seed(shot))
    pattern = pattern.repeat_interleave(8, 0).repeat_interleave(8, 1)
    noise = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(1000 * shot + number)) * 0.02
    return ImagePicture(((pattern + noise).clamp(0, 1) * 255).to(torch.uint8))


def frames_at(times: Sequence[float], shots: Sequence[int] = ()) -> list[Frame]:
    """Frames at given times; ``shots`` says of each which shot it is of."""
    return [Frame(picture(shots[n] if shots else 1, n), time, n, n) for n, time in enumerate(times)]


def face(person: int = 0, speaker: int = 0, left: float = 10.0, opacity: float = 1.0) -> Sighting:
    return Sighting(person, speaker, box_matrix(left, 8, left + 28, 44), opacity)


class Scripted:
    """A follower that sees what it is told to, frame by frame."""

    look_ahead = 0.0

    def __init__(self, seen: Sequence[Seen]) -> None:
        self.seen = list(seen)

    def push(self, frame: Frame) -> list[tuple[Frame, Seen]]:
        return [(frame, self.seen[frame.index])]

    def finish(self) -> list:
        return []


def script(count: int, *people: tuple[int, int, int], cuts: Sequence[int] = ()) -> list[Seen]:
    """``count`` frames in which people (speaker, first frame, end) are seen, each with an own place; cuts are frames
    at which a shot starts and everybody is somebody new."""
    seen = []
    for n in range(count):
        shot = sum(cut <= n for cut in cuts)
        there = [
            face(100 * shot + i, speaker, 4.0 + 12 * speaker) for i, (speaker, a, b) in enumerate(people) if a <= n < b
        ]
        seen.append(Seen(n == 0 or n in cuts, tuple(there)))
    return seen


def speech(seconds: float, seed: int = 3) -> Tensor:
    """A loud and soft sound [samples] at 16 kHz."""
    samples = torch.randn(round(seconds * 16_000), generator=torch.Generator().manual_seed(seed))
    envelope = torch.sin(torch.arange(len(samples)) / 2500).abs()
    return 0.3 * samples * envelope
