"""The video autoencoder of the tiny model family.

Blocks of 4 frames x 8 x 8 pixels become 16 numbers by a linear map, which training starts from the principal
components of such blocks; convolutions over neighbouring blocks and the previous block in time refine both directions.
The decoder may draw details at a quarter and at half of the resolution as well.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..timeline import TEMPORAL_FACTOR
from .base import LATENT_CHANNELS, SPATIAL_FACTOR, WARM_UP_FRAMES, check_frames, check_latents

BLOCK_VALUES = 3 * TEMPORAL_FACTOR * SPATIAL_FACTOR**2


@dataclass(frozen=True)
class TinyCodecConfig:
    """Sizes of the tiny codec.

    Attributes:
        latent_channels: channels of the latents.
        width, blocks: channels of the encoder's refining convolutions, and memory blocks of them.
        decoder_width, decoder_blocks: the same of the decoder.
        smooth_width: channels of the last convolutions, over pixels, which hide the seams between blocks.
        fine: channels of the decoder at a quarter of the resolution, half of them at half of it; 0 is no such stage.
    """

    latent_channels: int = LATENT_CHANNELS
    width: int = 160
    blocks: int = 3
    decoder_width: int = 160
    decoder_blocks: int = 3
    smooth_width: int = 16
    fine: int = 64


def to_blocks(frames: Tensor) -> Tensor:
    """[B, 3, 4t, 8h, 8w] to [B, t, 768, h, w]."""
    pattern = "b c (t f) (h p) (w q) -> b t (f c p q) h w"
    return rearrange(frames, pattern, f=TEMPORAL_FACTOR, p=SPATIAL_FACTOR, q=SPATIAL_FACTOR)


def from_blocks(blocks: Tensor) -> Tensor:
    """[B, t, 768, h, w] to [B, 3, 4t, 8h, 8w]."""
    pattern = "b t (f c p q) h w -> b c (t f) (h p) (w q)"
    return rearrange(blocks, pattern, f=TEMPORAL_FACTOR, c=3, p=SPATIAL_FACTOR, q=SPATIAL_FACTOR)


class MemoryBlock(nn.Module):
    """Residual convolutions that see a feature map together with that of the previous time step."""

    def __init__(self, width: int, operations, **factory) -> None:
        super().__init__()
        self.mix = operations.Conv2d(2 * width, width, 3, padding=1, **factory)
        self.out = operations.Conv2d(width, width, 3, padding=1, **factory)

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        """[N, C, h, w] and the same one step earlier to [N, C, h, w]."""
        return x + self.out(F.silu(self.mix(F.silu(torch.cat((x, past), dim=1)))))


class Direction(nn.Module):
    """A linear map of blocks and its convolutional refinement; used for either direction."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int, operations, **factory) -> None:
        super().__init__()
        self.linear = operations.Conv2d(inputs, outputs, 1, **factory)
        self.enter = operations.Conv2d(inputs, width, 1, **factory)
        self.blocks = nn.ModuleList(MemoryBlock(width, operations, **factory) for _ in range(blocks))
        self.leave = operations.Conv2d(width, outputs, 1, **factory)

    def forward(self, x: Tensor, memory: list[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Run time steps [B, t, C, h, w]; ``memory`` holds the last input of every block and is brought up to date.

        Returns the outputs [B, t, outputs, h, w] and the features they come from [B * t, width, h, w].
        """
        batch = x.shape[0]
        x = x.flatten(0, 1)
        features = self.enter(x)
        for i, block in enumerate(self.blocks):
            steps = features.unflatten(0, (batch, -1))
            before = torch.zeros_like(steps[:, :1]) if memory[i] is None else memory[i]
            memory[i] = steps[:, -1:].clone()  # a slice would keep all of this call's features alive
            features = block(features, torch.cat((before, steps[:, :-1]), dim=1).flatten(0, 1))
        features = F.silu(features)
        return (self.linear(x) + self.leave(features)).unflatten(0, (batch, -1)), features


class Fine(nn.Module):
    """Details that no block of 8 x 8 pixels can draw alone: from features of blocks to what is added to their pixels.

    Each frame is drawn on its own, at a quarter of the resolution, then at half of it.
    """

    def __init__(self, width: int, fine: int, operations, **factory) -> None:
        super().__init__()
        half = fine // 2
        self.to_quarter = operations.Conv2d(width, TEMPORAL_FACTOR * fine * 4, 1, **factory)
        self.mix_quarter = operations.Conv2d(fine, fine, 3, padding=1, **factory)
        self.to_half = operations.Conv2d(fine, half * 4, 1, **factory)
        self.mix_half = operations.Conv2d(half, half, 3, padding=1, **factory)
        self.leave = operations.Conv2d(half, 3 * 4, 3, padding=1, **factory)

    def forward(self, features: Tensor) -> Tensor:
        """[N, width, h, w] to [N, 3, 4, 8h, 8w]."""
        x = rearrange(self.to_quarter(features), "n (f c) h w -> (n f) c h w", f=TEMPORAL_FACTOR)
        x = F.pixel_shuffle(x, 2)
        x = F.pixel_shuffle(self.to_half(x + self.mix_quarter(F.silu(x))), 2)
        x = F.pixel_shuffle(self.leave(F.silu(x + self.mix_half(F.silu(x)))), 2)
        return rearrange(x, "(n f) c h w -> n c f h w", f=TEMPORAL_FACTOR)


class TinyCodec(nn.Module):
    """Autoencoder of the tiny family; implements ``VideoCodec``. Both directions are differentiable.

    Args:
        config: sizes.
        operations: namespace that provides ``Conv2d``.
        device, dtype: of the parameters. Inputs of the streams must match them.
    """

    spatial_factor = SPATIAL_FACTOR
    look_ahead = 0

    def __init__(self, config: TinyCodecConfig | None = None, *, operations=nn, device=None, dtype=None) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.config = config or TinyCodecConfig()
        self.latent_channels = self.config.latent_channels
        width, blocks, fine = self.config.decoder_width, self.config.decoder_blocks, self.config.fine
        sizes = self.config.width, self.config.blocks
        self.encoder = Direction(BLOCK_VALUES, self.latent_channels, *sizes, operations, **factory)
        self.decoder = Direction(self.latent_channels, BLOCK_VALUES, width, blocks, operations, **factory)
        self.fine = Fine(width, fine, operations, **factory) if fine else None
        self.smooth = nn.Sequential(
            operations.Conv2d(3, self.config.smooth_width, 3, padding=1, **factory),
            nn.SiLU(),
            operations.Conv2d(self.config.smooth_width, 3, 3, padding=1, **factory),
        )

    def encode_stream(self) -> TinyEncoder:
        """A fresh encoder stream."""
        return TinyEncoder(self)

    def decode_stream(self, *, clamp: bool = True) -> TinyDecoder:
        """A fresh decoder stream; ``clamp=False`` leaves the frames unlimited."""
        return TinyDecoder(self, clamp)

    def drawn(self, latents: Tensor, memory: list[Tensor | None]) -> Tensor:
        """Time steps [B, t, C, h, w] to frames [B, 3, 4t, 8h, 8w] that still show the seams between blocks."""
        blocks, features = self.decoder(latents, memory)
        frames = from_blocks(blocks)
        if self.fine is not None:
            details = self.fine(features).unflatten(0, blocks.shape[:2])
            frames = frames + details.transpose(1, 2).flatten(2, 3)
        return frames

    def smoothed(self, frames: Tensor) -> Tensor:
        """Frames [B, 3, T, H, W] with the seams between blocks taken out."""
        flat = frames.transpose(1, 2).flatten(0, 1)
        return (flat + self.smooth(flat)).unflatten(0, (frames.shape[0], -1)).transpose(1, 2)


class TinyEncoder:
    """Encoder stream. State: per memory block its latest input [B, 1, width, h, w]."""

    def __init__(self, codec: TinyCodec) -> None:
        self.codec = codec
        self.memory: list[Tensor | None] = [None] * codec.config.blocks
        self.started = False

    def __call__(self, frames: Tensor) -> Tensor:
        """[B, 3, T, H, W] in [-1, 1] to latents [B, C, t, H/8, W/8]; see ``StreamingEncoder``."""
        check_frames(frames, first=not self.started)
        if not self.started:  # the first frame is seen as a block of four equal ones
            frames = torch.cat((frames[:, :, :1].expand(-1, -1, WARM_UP_FRAMES, -1, -1), frames), dim=2)
            self.started = True
        return self.codec.encoder(to_blocks(frames), self.memory)[0].transpose(1, 2)

    def copy(self) -> TinyEncoder:
        """See ``StreamingEncoder``."""
        other = copy.copy(self)
        other.memory = list(self.memory)
        return other


class TinyDecoder:
    """Decoder stream. State: per memory block its latest input [B, 1, width, h, w]."""

    def __init__(self, codec: TinyCodec, clamp: bool) -> None:
        self.codec = codec
        self.memory: list[Tensor | None] = [None] * codec.config.decoder_blocks
        self.clamp = clamp
        self.started = False

    def __call__(self, latents: Tensor) -> Tensor:
        """[B, C, t, h, w] to frames [B, 3, T, 8h, 8w] in [-1, 1]; see ``StreamingDecoder``."""
        check_latents(latents, self.codec.latent_channels)
        frames = self.codec.drawn(latents.transpose(1, 2), self.memory)
        if not self.started:
            frames = frames[:, :, WARM_UP_FRAMES:]
            self.started = True
        frames = self.codec.smoothed(frames)
        return frames.clamp(-1, 1) if self.clamp else frames

    def copy(self) -> TinyDecoder:
        """See ``StreamingDecoder``."""
        other = copy.copy(self)
        other.memory = list(self.memory)
        return other
