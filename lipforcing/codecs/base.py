"""What every video autoencoder of the pack looks like to the rest of it: two causal streams.

A codec compresses 8 x 8 pixels and 4 frames into one latent position of 16 channels; the first frame of a
stream is compressed alone. A stream is an object created for one run: it holds the temporal memory of the
layers and nothing else, so dropping it frees everything and two runs never share state.

    encoder = codec.encode_stream()
    latents = encoder(frames)          # first call 1 + 4k frames (and the codec's look-ahead), later calls 4k

The factories are not called ``encoder`` and ``decoder`` because the published state dicts give these names to
the layer stacks.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..timeline import TEMPORAL_FACTOR, frames_for_latents, latents_for_frames

SPATIAL_FACTOR = 8
LATENT_CHANNELS = 16
WARM_UP_FRAMES = TEMPORAL_FACTOR - 1  # by which the one frame of a stream's first latent falls short of a group


class StreamingEncoder(Protocol):
    """Video in, latents out, group by group."""

    def __call__(self, frames: Tensor) -> Tensor:
        """Encode the next frames of the stream.

        Args:
            frames: [B, 3, T, H, W] in [-1, 1]; H and W multiples of 8; T = 1 + 4k + look_ahead in the first call, 4k
                (k >= 1) later, so the stream is always ``look_ahead`` frames ahead of its latents; at a video's end the
                last frame is repeated. B independent videos may share a call, and then share every call of the stream.

        Returns:
            [B, 16, t, H/8, W/8], normalised for the diffusion model; t = 1 + k in the first call, k later.

        Raises:
            ValueError: another number of frames, channels or pixels.
        """
        ...

    def copy(self) -> StreamingEncoder:
        """The stream as it is now; both go on independently. Tensors are shared, for they are never written to."""
        ...


class StreamingDecoder(Protocol):
    """Latents in, video out, group by group."""

    def __call__(self, latents: Tensor) -> Tensor:
        """Decode the next latent frames of the stream.

        Args:
            latents: [B, 16, t, h, w], normalised for the diffusion model, t >= 1.

        Returns:
            [B, 3, T, 8h, 8w] in [-1, 1]; one frame for the first latent of the stream, four for later ones.

        Raises:
            ValueError: no latent frame, or another number of channels.
        """
        ...

    def copy(self) -> StreamingDecoder:
        """The stream as it is now; both go on independently. Tensors are shared, for they are never written to."""
        ...


class VideoCodec(Protocol):
    """A causal video autoencoder: weights that can start any number of independent streams.

    Attributes:
        latent_channels: 16.
        spatial_factor: 8.
        look_ahead: video frames beyond those of a latent that its encoder must have seen.
    """

    latent_channels: int
    spatial_factor: int
    look_ahead: int

    def encode_stream(self) -> StreamingEncoder:
        """A fresh stream at its first frame."""
        ...

    def decode_stream(self, *, clamp: bool = True) -> StreamingDecoder:
        """A fresh stream at its first latent.

        Args:
            clamp: limit the frames to [-1, 1]. Training losses want False: a clamped pixel has no gradient.
        """
        ...


def encode(codec: VideoCodec, video: Tensor) -> Tensor:
    """Encode a whole video in one call, [B, 3, 1 + 4k, H, W] in [-1, 1] to [B, 16, 1 + k, H/8, W/8]."""
    return codec.encode_stream()(extended(video, codec.look_ahead))


def extended(video: Tensor, frames: int) -> Tensor:
    """A video [B, 3, T, H, W] with its last frame repeated ``frames`` times behind it."""
    return torch.cat((video, video[:, :, -1:].expand(-1, -1, frames, -1, -1)), dim=2) if frames else video


def decode(codec: VideoCodec, latents: Tensor, *, clamp: bool = True) -> Tensor:
    """Decode a whole video in one call, [B, 16, 1 + k, h, w] to [B, 3, 1 + 4k, 8h, 8w] in [-1, 1]."""
    return codec.decode_stream(clamp=clamp)(latents)


def check_frames(frames: Tensor, *, first: bool, look_ahead: int = 0) -> None:
    """Raise ValueError unless ``frames`` may be the next (``first``: the first) call of an encoder stream."""
    if frames.ndim != 5 or frames.shape[1] != 3:
        raise ValueError(f"encoder expects frames [B, 3, T, H, W], got {tuple(frames.shape)}")
    count, height, width = frames.shape[2:]
    if height % SPATIAL_FACTOR or width % SPATIAL_FACTOR:
        raise ValueError(f"frames are {height} x {width}; pad or crop both sides to a multiple of {SPATIAL_FACTOR}")
    own = count - look_ahead
    if first and (own < 1 or frames_for_latents(latents_for_frames(own)) != own):
        ahead = f" + {look_ahead}" if look_ahead else ""
        raise ValueError(
            f"the first call of an encoder stream takes 1 + {TEMPORAL_FACTOR}k{ahead} frames, got {count}; "
            "pass the first frame together with whole groups of four"
        )
    if not first and (count < 1 or count % TEMPORAL_FACTOR):
        raise ValueError(
            f"after the first call an encoder stream takes groups of {TEMPORAL_FACTOR} frames, got {count}; "
            "start a new stream for a new video, or hold frames back until a group is complete"
        )


def check_latents(latents: Tensor, channels: int) -> None:
    """Raise ValueError unless ``latents`` is [B, channels, t >= 1, h, w]."""
    if latents.ndim != 5 or latents.shape[1] != channels or latents.shape[2] < 1:
        raise ValueError(f"decoder expects latents [B, {channels}, t, h, w] with t >= 1, got {tuple(latents.shape)}")
