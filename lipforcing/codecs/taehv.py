"""TAEHV, the small video autoencoder for the latent space of Wan 2.1.

The only temporal layer is the memory block, which looks at its own input of the previous time step. A call
therefore runs layer by layer over all its time steps, with the time axis folded into the batch, and a stream
carries one feature map per memory block.

Architecture and key names of the published ``taew2_1`` weights (docs/model.md, TAEHV). Latents are
the diffusion model's own, without mean and standard deviation.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..timeline import TEMPORAL_FACTOR
from .base import LATENT_CHANNELS, SPATIAL_FACTOR, WARM_UP_FRAMES, check_frames, check_latents

# The encoder was trained on whole groups of four from the first frame on, so it is three frames ahead of its latents.
LOOK_AHEAD = TEMPORAL_FACTOR - 1
LATENT_LIMIT = 3.0


@dataclass(frozen=True)
class TAEHVConfig:
    """Sizes of a TAEHV. A decoder stage is ``blocks`` memory blocks, a time growth and an optional 2x upsampling.

    Attributes:
        latent_channels: channels of the latents.
        widths: channels of each decoder stage, then of the layers at full resolution.
        encoder_width: channels of every encoder layer.
        blocks: memory blocks per stage.
        space_upscale: per decoder stage, whether it doubles height and width; the encoder mirrors it.
        time_growth: per decoder stage, time steps made of one; the encoder mirrors it.
        patch_size: pixels are folded into channels in squares of this size before the first layer.
    """

    latent_channels: int = LATENT_CHANNELS
    widths: tuple[int, ...] = (256, 128, 64, 64)
    encoder_width: int = 64
    blocks: int = 3
    space_upscale: tuple[bool, ...] = (True, True, True)
    time_growth: tuple[int, ...] = (1, 2, 2)
    patch_size: int = 1


def taew2_1() -> TAEHVConfig:
    """The published TAEHV for the latent space of Wan 2.1, 11.3 M parameters."""
    return TAEHVConfig()


def tiny() -> TAEHVConfig:
    """A small one of the same class, 0.9 M parameters, for tests and experiments."""
    return TAEHVConfig(
        widths=(64, 64, 48),
        encoder_width=32,
        blocks=2,
        space_upscale=(True, False),
        time_growth=(2, 2),
        patch_size=4,
    )


class Clamp(nn.Module):
    """Soft limit of the latents: identity near zero, never beyond +-3."""

    def forward(self, x: Tensor) -> Tensor:
        return LATENT_LIMIT * torch.tanh(x / LATENT_LIMIT)


class MemoryBlock(nn.Module):
    """Residual block of three convolutions that sees each feature map together with the previous one."""

    def __init__(self, channels: int, operations, **factory):
        super().__init__()
        self.conv = nn.Sequential(
            operations.Conv2d(2 * channels, channels, 3, padding=1, **factory),
            nn.ReLU(inplace=True),
            operations.Conv2d(channels, channels, 3, padding=1, **factory),
            nn.ReLU(inplace=True),
            operations.Conv2d(channels, channels, 3, padding=1, **factory),
        )

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        """[N, C, H, W] and the same one time step earlier to [N, C, H, W]."""
        return F.relu_(self.conv(torch.cat([x, past], 1)) + x)


class TimePool(nn.Module):
    """Merge ``stride`` consecutive time steps of [B*T, C, H, W] into one."""

    def __init__(self, channels: int, stride: int, operations, **factory):
        super().__init__()
        self.stride = stride
        self.conv = operations.Conv2d(channels * stride, channels, 1, bias=False, **factory)

    def forward(self, x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        return self.conv(x.reshape(-1, self.stride * channels, height, width))


class Grow(nn.Module):
    """Make ``stride`` time steps of each of [B*T, C, H, W], then enlarge ``scale`` times by repeating pixels.

    The published layer order is the other way round; a 1 x 1 convolution commutes exactly with repeating pixels,
    and on the smaller map it costs a quarter.
    """

    def __init__(self, channels: int, stride: int, scale: int, operations, **factory):
        super().__init__()
        self.scale = scale
        self.conv = operations.Conv2d(channels, channels * stride, 1, bias=False, **factory)

    def forward(self, x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        x = self.conv(x).reshape(-1, channels, height, width)
        return F.interpolate(x, scale_factor=self.scale, mode="nearest") if self.scale > 1 else x


def encoder_layers(config: TAEHVConfig, operations, **factory) -> nn.Sequential:
    """Frames [B*T, 3 p^2, H/p, W/p] to latents [B*T/4, C, H/8, W/8], indexed as the published keys are."""
    width = config.encoder_width
    layers = [
        operations.Conv2d(3 * config.patch_size**2, width, 3, padding=1, **factory),
        nn.ReLU(inplace=True),
    ]
    for downscale, stride in zip(reversed(config.space_upscale), reversed(config.time_growth)):
        layers += [
            TimePool(width, stride, operations, **factory),
            operations.Conv2d(width, width, 3, 2 if downscale else 1, padding=1, bias=False, **factory),
            *(MemoryBlock(width, operations, **factory) for _ in range(config.blocks)),
        ]
    return nn.Sequential(*layers, operations.Conv2d(width, config.latent_channels, 3, padding=1, **factory))


def decoder_layers(config: TAEHVConfig, operations, **factory) -> nn.Sequential:
    """Latents [B*t, C, h, w] to frames [B*4t, 3 p^2, 8h/p, 8w/p], indexed as the published keys are."""
    widths = config.widths
    layers = [
        Clamp(),
        operations.Conv2d(config.latent_channels, widths[0], 3, padding=1, **factory),
        nn.ReLU(inplace=True),
    ]
    for width, after, upscale, stride in zip(widths, widths[1:], config.space_upscale, config.time_growth):
        layers += [
            *(MemoryBlock(width, operations, **factory) for _ in range(config.blocks)),
            nn.Identity(),  # the upsampling in the published numbering; Grow does it
            Grow(width, stride, 2 if upscale else 1, operations, **factory),
            operations.Conv2d(width, after, 3, padding=1, bias=False, **factory),
        ]
    return nn.Sequential(
        *layers,
        nn.ReLU(inplace=True),
        operations.Conv2d(widths[-1], 3 * config.patch_size**2, 3, padding=1, **factory),
    )


class TAEHV(nn.Module):
    """TAEHV autoencoder; implements ``VideoCodec``. Both directions are differentiable.

    Args:
        config: sizes; ``taew2_1()`` or ``tiny()``.
        operations: namespace that provides ``Conv2d``.
        device, dtype: of the parameters. Inputs of the streams must match them, but for the dtype of latents,
            which are decoded in the parameters' own.
    """

    spatial_factor = SPATIAL_FACTOR
    look_ahead = LOOK_AHEAD

    def __init__(self, config: TAEHVConfig, *, operations=nn, device=None, dtype=None):
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.config = config
        self.latent_channels = config.latent_channels
        self.encoder = encoder_layers(config, operations, **factory)
        self.decoder = decoder_layers(config, operations, **factory)

    def encode_stream(self) -> TAEHVEncoder:
        """A fresh encoder stream."""
        return TAEHVEncoder(self)

    def decode_stream(self, *, clamp: bool = True) -> TAEHVDecoder:
        """A fresh decoder stream; ``clamp=False`` leaves the frames unlimited."""
        return TAEHVDecoder(self, clamp)


class LayerStream:
    """A layer stack and its memory: per memory block its latest input, [B, 1, C, H, W]; zero at the start."""

    def __init__(self, layers: nn.Sequential):
        self.layers = layers
        self.memory: dict[int, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Run the next time steps, [B, T, C, H, W] to [B, T', C', H', W']."""
        batch = x.shape[0]
        x = x.flatten(0, 1)
        for index, layer in enumerate(self.layers):
            x = layer(x, self._past(index, x, batch)) if isinstance(layer, MemoryBlock) else layer(x)
        return x.unflatten(0, (batch, -1))

    def copy(self) -> LayerStream:
        """The state as it is now; the maps are shared."""
        other = LayerStream(self.layers)
        other.memory = dict(self.memory)
        return other

    def _past(self, index: int, x: Tensor, batch: int) -> Tensor:
        """``x``, [B*T, C, H, W], one time step earlier; remembers its last step."""
        steps = x.unflatten(0, (batch, -1))
        before = self.memory[index] if index in self.memory else torch.zeros_like(steps[:, :1])
        # A slice would keep the whole call's activations alive until the next call.
        self.memory[index] = steps[:, -1:].clone()
        return torch.cat([before, steps[:, :-1]], 1).flatten(0, 1)


class TAEHVEncoder:
    """Encoder stream. State: ``LayerStream`` of the encoder layers."""

    def __init__(self, codec: TAEHV):
        self.stream = LayerStream(codec.encoder)
        self.patch_size = codec.config.patch_size
        self.started = False

    def __call__(self, frames: Tensor) -> Tensor:
        """[B, 3, T, H, W] in [-1, 1] to latents [B, C, t, H/8, W/8]; see ``StreamingEncoder``."""
        check_frames(frames, first=not self.started, look_ahead=LOOK_AHEAD)
        self.started = True
        x = (frames.transpose(1, 2) + 1) / 2
        return self.stream(F.pixel_unshuffle(x, self.patch_size)).transpose(1, 2)

    def copy(self) -> TAEHVEncoder:
        """See ``StreamingEncoder``."""
        other = copy.copy(self)
        other.stream = self.stream.copy()
        return other


class TAEHVDecoder:
    """Decoder stream. State: ``LayerStream`` of the decoder layers."""

    def __init__(self, codec: TAEHV, clamp: bool):
        self.stream = LayerStream(codec.decoder)
        self.channels = codec.latent_channels
        self.patch_size = codec.config.patch_size
        self.dtype = next(codec.decoder.parameters()).dtype
        self.clamp = clamp
        self.started = False

    def __call__(self, latents: Tensor) -> Tensor:
        """[B, C, t, h, w] to frames [B, 3, T, 8h, 8w] in [-1, 1]; see ``StreamingDecoder``."""
        check_latents(latents, self.channels)
        x = self.stream(latents.to(self.dtype).transpose(1, 2))
        if not self.started:
            x = x[:, WARM_UP_FRAMES:]  # growth is causal: of the four frames of the first latent the last is meant
            self.started = True
        x = F.pixel_shuffle(x, self.patch_size)
        return ((x.clamp(0, 1) if self.clamp else x) * 2 - 1).transpose(1, 2)

    def copy(self) -> TAEHVDecoder:
        """See ``StreamingDecoder``."""
        other = copy.copy(self)
        other.stream = self.stream.copy()
        return other
