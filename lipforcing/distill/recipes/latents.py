"""The talking clips as the transformer sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ... import audio
from ...audio.base import encode_audio
from ...audio.logmel import LogMelEncoder
from ...codecs.base import LATENT_CHANNELS, SPATIAL_FACTOR, VideoCodec, encode
from ...codecs.tiny import TinyCodec
from ...faces.mask import latent_mask, pixel_mask
from ...models import Inputs, WanConfig
from ...timeline import frames_for_chunks, latents_for_frames
from ..cache import code_hash, made, weights_hash
from .data import SIZE, UNSEEN_SPOKEN, SpeechClips, Spoken, pixels, speech_clips
from .workshop import Workshop

CHUNKS = 3  # the smallest clip in which every attention geometry occurs
WINDOW = frames_for_chunks(CHUNKS)


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip that a training is validated on.

    Attributes:
        inputs: of the network, a batch of one.
        source, truth: uint8 [T, H, W, 3].
        sound: [samples] at 16 kHz.
    """

    inputs: Inputs
    source: Tensor
    truth: Tensor
    sound: Tensor


@dataclass(frozen=True)
class LatentClips:
    """Windows of three chunks: 33 frames, 9 latent frames.

    Attributes:
        target: [N, 16, 9, 16, 16], what is to be generated.
        source: the same person and head with another mouth (the reference sequence).
        masked: with the mouth greyed out; the same for both.
        audio: [N, 33, 384], features of the target's speech.
    """

    target: Tensor
    source: Tensor
    masked: Tensor
    audio: Tensor

    def __len__(self) -> int:
        return len(self.target)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the latents of a window, [16, 9, h, w]."""
        return tuple(self.target.shape[1:])

    def to(self, device: torch.device) -> LatentClips:
        """The same on a device."""
        return LatentClips(*(part.to(device) for part in vars(self).values()))

    def inputs(self, rows: Tensor, config: WanConfig) -> tuple[Tensor, Inputs]:
        """Targets [B, 16, 9, 16, 16] and inputs of the windows ``rows``."""
        target, source, masked = (part[rows].float() for part in (self.target, self.source, self.masked))
        mask = latent_mask(*target.shape[-2:]).to(target).expand(len(rows), 1, 1, -1, -1)
        text = target.new_zeros(len(rows), config.text_len, config.text_dim)
        return target, Inputs(source[:, :, :1], mask, masked, source, self.audio[rows].float(), text)


def latent_clips(spoken: Spoken, workshop: Workshop) -> LatentClips:
    """Talking clips as the workshop's codec encodes them, made once for each encoder."""
    codec = workshop.part("codec")

    def make(folder: Path) -> None:
        clips = encode_clips(
            speech_clips(spoken, workshop.data), codec.to(workshop.device), spoken.stride, workshop.device
        )
        save_file(vars(clips), folder / "latents.safetensors")

    what = latent_origin(spoken, codec)
    return LatentClips(**load_file(made(workshop.data, "latents", what, make) / "latents.safetensors"))


def unseen_clips(config: WanConfig, workshop: Workshop) -> Iterator[Shown]:
    """Talking clips that no recipe learns from."""
    clips, latents = speech_clips(UNSEEN_SPOKEN, workshop.data), latent_clips(UNSEEN_SPOKEN, workshop)
    for i in range(len(latents)):
        _, inputs = latents.inputs(torch.tensor([i]), config)
        yield Shown(inputs, clips.source[i], clips.target[i], clips.waveform[i])


def latent_origin(spoken: Spoken, codec: TinyCodec) -> dict:
    """All that latents are made of; the decoder is no part of it."""
    return {**spoken.what(), "codec": weights_hash(codec.encoder), "audio": code_hash(audio)}


@torch.no_grad()
def encode_clips(clips: SpeechClips, codec: VideoCodec, stride: int, device: torch.device | str = "cpu") -> LatentClips:
    """Encode windows of every clip, ``stride`` frames apart, on the codec's ``device``; kept in half precision."""
    keep = 1 - pixel_mask(*SIZE).float().to(device)
    audio_encoder = LogMelEncoder()
    count, frames = clips.target.shape[:2]
    starts = range(0, frames - WINDOW + 1, stride)
    windows = count * len(starts)
    grid = (side // SPATIAL_FACTOR for side in SIZE)
    size = (windows, LATENT_CHANNELS, latents_for_frames(WINDOW), *grid)
    target, source, masked = (torch.empty(size, dtype=torch.float16) for _ in range(3))
    audio = torch.empty((windows, WINDOW, audio_encoder.feature_dim), dtype=torch.float16)
    for i in tqdm(range(count), desc="latents", mininterval=5):
        features = encode_audio(audio_encoder, clips.waveform[i], frames)[:frames]
        rows = slice(i * len(starts), (i + 1) * len(starts))
        audio[rows] = torch.stack([features[s : s + WINDOW] for s in starts]).half()
        of_target, of_source = (
            pixels(torch.stack([shown[i, s : s + WINDOW] for s in starts]).to(device))
            for shown in (clips.target, clips.source)
        )
        for part, video in ((target, of_target), (source, of_source), (masked, of_target * keep)):
            part[rows] = encode(codec, video).half()
    return LatentClips(target, source, masked, audio)
