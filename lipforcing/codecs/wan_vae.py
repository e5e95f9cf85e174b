"""The Wan 2.1 video autoencoder as streams.

Every temporal convolution looks only backwards, so a stream needs the last one or two input frames of each of them and
nothing else (``TemporalCache``, passed explicitly through the layers). Any number of groups per call gives the same
result as one group per call; the first frame of a stream skips the temporal resampling.

Architecture, key names and constants are those of Wan 2.1 (docs/model.md, Wan VAE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .base import LATENT_CHANNELS, SPATIAL_FACTOR, check_frames, check_latents

LATENT_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
LATENT_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip
EPS = 1e-24  # the published norm divides by a root of at least 1e-12


@dataclass(frozen=True)
class WanVAEConfig:
    """Sizes of the autoencoder; the defaults are the published ones (126.9 M parameters).

    Attributes:
        dim: channels at full resolution; level i has ``dim * dim_mult[i]``.
        z_dim: latent channels.
        dim_mult: channel factors of the levels, full resolution first. Between levels space is halved.
        num_res_blocks: residual blocks per encoder level; a decoder level has one more.
        temporal_downsample: for each step between levels, whether it also halves time.
    """

    dim: int = 96
    z_dim: int = LATENT_CHANNELS
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    temporal_downsample: tuple[bool, ...] = (False, True, True)


class TemporalCache:
    """State of one stream: the last input frames of every temporal convolution.

    Attributes:
        frames: convolution -> [B, C, n, H, W] at the resolution of that layer; n = 2, or 1 for temporal
            downsampling. In all about 0.74 GB for the full-size encoder at 512 x 512 in bfloat16.
        started: whether the stream has had its first call.
    """

    def __init__(self):
        self.frames: dict[nn.Module, Tensor] = {}
        self.started = False

    def copy(self) -> TemporalCache:
        """The state as it is now; the frames are shared."""
        other = TemporalCache()
        other.frames, other.started = dict(self.frames), self.started
        return other

    def prepend(self, layer: nn.Module, x: Tensor, length: int) -> Tensor:
        """``x`` [B, C, T, H, W] with the ``length`` frames before it in front, zeros before the stream's start."""
        past = self.frames.get(layer)
        if past is None:
            past = x.new_zeros(*x.shape[:2], length, *x.shape[3:])
        x = torch.cat([past, x], 2)
        if x.device.type != "mps":  # which may not know the layout; cuDNN's fast kernels and the norms want it
            x = x.contiguous(memory_format=torch.channels_last_3d)
        # A slice would keep the activations of the whole call alive until the next one.
        self.frames[layer] = x[:, :, -length:].clone()
        return x

    def convolve(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Causal convolution: the last tap of the kernel is the current frame."""
        return layer(self.prepend(layer, x, layer.kernel_size[0] - 1))


class ChannelNorm(nn.Module):
    """Divide by the root mean square over the channels (axis 1) and scale each channel."""

    def __init__(self, channels: int, spatial_axes: int, *, device=None, dtype=None):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * spatial_axes, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        # one kernel on a GPU, where the channels lie beside each other
        return F.rms_norm(x.movedim(1, -1), self.gamma.shape[:1], self.gamma.flatten().to(x), EPS).movedim(-1, 1)


def causal_conv(inputs: int, outputs: int, operations, **factory) -> nn.Module:
    """3 x 3 x 3 convolution padded in space only; the frames in front come from a ``TemporalCache``."""
    return operations.Conv3d(inputs, outputs, 3, padding=(0, 1, 1), **factory)


def per_frame(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply an image layer to every frame of [B, C, T, H, W]."""
    images = layer(x.transpose(1, 2).flatten(0, 1))
    return images.unflatten(0, (x.shape[0], -1)).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Two causal convolutions around a skip connection."""

    def __init__(self, inputs: int, outputs: int, operations, **factory):
        super().__init__()
        self.residual = nn.Sequential(
            ChannelNorm(inputs, 3, **factory),
            nn.SiLU(),
            causal_conv(inputs, outputs, operations, **factory),
            ChannelNorm(outputs, 3, **factory),
            nn.SiLU(),
            nn.Identity(),  # the dropout in the published numbering
            causal_conv(outputs, outputs, operations, **factory),
        )
        self.shortcut = operations.Conv3d(inputs, outputs, 1, **factory) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, cache: TemporalCache) -> Tensor:
        norm_in, silu, conv_in, norm_out, _, _, conv_out = self.residual
        h = cache.convolve(conv_in, silu(norm_in(x)))
        h = cache.convolve(conv_out, silu(norm_out(h)))
        return h + self.shortcut(x)


class AttentionBlock(nn.Module):
    """Single-head attention among the positions of one frame."""

    def __init__(self, channels: int, operations, **factory):
        super().__init__()
        self.norm = ChannelNorm(channels, 2, **factory)
        self.to_qkv = operations.Conv2d(channels, 3 * channels, 1, **factory)
        self.proj = operations.Conv2d(channels, channels, 1, **factory)

    def forward(self, x: Tensor, cache: TemporalCache) -> Tensor:
        return x + per_frame(self._attend, x)

    def _attend(self, images: Tensor) -> Tensor:
        tokens = self.to_qkv(self.norm(images)).flatten(2).transpose(1, 2).unsqueeze(1)
        q, k, v = (part.contiguous() for part in tokens.chunk(3, -1))
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.squeeze(1).transpose(1, 2).reshape(images.shape))


class Downsample(nn.Module):
    """Halve space and, with ``temporal``, then time. The first frame of a stream skips the latter."""

    def __init__(self, channels: int, temporal: bool, operations, **factory):
        super().__init__()
        self.resample = nn.Sequential(
            nn.ZeroPad2d((0, 1, 0, 1)), operations.Conv2d(channels, channels, 3, stride=2, **factory)
        )
        self.time_conv = (
            operations.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1), **factory) if temporal else None
        )

    def forward(self, x: Tensor, cache: TemporalCache) -> Tensor:
        x = per_frame(self.resample, x)
        return x if self.time_conv is None else self._halve_time(x, cache)

    def _halve_time(self, x: Tensor, cache: TemporalCache) -> Tensor:
        window = cache.prepend(self.time_conv, x, 1)
        if cache.started:
            return self.time_conv(window)
        first = x[:, :, :1]
        return first if x.shape[2] == 1 else torch.cat([first, self.time_conv(x)], 2)


class Upsample(nn.Module):
    """Double time, with ``temporal``, then space. The first frame of a stream skips the former, unseen by it."""

    def __init__(self, channels: int, temporal: bool, operations, **factory):
        super().__init__()
        self.resample = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            operations.Conv2d(channels, channels // 2, 3, padding=1, **factory),
        )
        self.time_conv = operations.Conv3d(channels, 2 * channels, (3, 1, 1), **factory) if temporal else None

    def forward(self, x: Tensor, cache: TemporalCache) -> Tensor:
        if self.time_conv is not None:
            x = self._double_time(x, cache)
        return per_frame(self.resample, x)

    def _double_time(self, x: Tensor, cache: TemporalCache) -> Tensor:
        if cache.started:
            return self._interleave(cache.convolve(self.time_conv, x))
        first, rest = x[:, :, :1], x[:, :, 1:]
        if rest.shape[2] == 0:
            return first
        return torch.cat([first, self._interleave(cache.convolve(self.time_conv, rest))], 2)

    @staticmethod
    def _interleave(x: Tensor) -> Tensor:
        """[B, 2C, T, H, W], channels (earlier frame, later frame), to [B, C, 2T, H, W]."""
        return x.unflatten(1, (2, -1)).permute(0, 2, 3, 1, 4, 5).flatten(2, 3)


def run(layers: Sequence[nn.Module], x: Tensor, cache: TemporalCache) -> Tensor:
    """Chain layers that take the cache."""
    for layer in layers:
        x = layer(x, cache)
    return x


def middle_layers(channels: int, operations, **factory) -> nn.Sequential:
    """The layers at the lowest resolution."""
    return nn.Sequential(
        ResidualBlock(channels, channels, operations, **factory),
        AttentionBlock(channels, operations, **factory),
        ResidualBlock(channels, channels, operations, **factory),
    )


def head_layers(inputs: int, outputs: int, operations, **factory) -> nn.Sequential:
    """Norm, activation and the last causal convolution."""
    return nn.Sequential(
        ChannelNorm(inputs, 3, **factory), nn.SiLU(), causal_conv(inputs, outputs, operations, **factory)
    )


class Encoder(nn.Module):
    """[B, 3, T, H, W] to [B, 2 z, t, H/8, W/8]."""

    def __init__(self, config: WanVAEConfig, operations, **factory):
        super().__init__()
        widths = [config.dim * factor for factor in config.dim_mult]
        self.conv1 = causal_conv(3, config.dim, operations, **factory)
        layers, inputs = [], config.dim
        for level, width in enumerate(widths):
            for _ in range(config.num_res_blocks):
                layers.append(ResidualBlock(inputs, width, operations, **factory))
                inputs = width
            if level < len(config.temporal_downsample):
                layers.append(Downsample(width, config.temporal_downsample[level], operations, **factory))
        self.downsamples = nn.Sequential(*layers)
        self.middle = middle_layers(inputs, operations, **factory)
        self.head = head_layers(inputs, 2 * config.z_dim, operations, **factory)

    def forward(self, x: Tensor, cache: TemporalCache) -> Tensor:
        x = cache.convolve(self.conv1, x)
        x = run([*self.downsamples, *self.middle], x, cache)
        return cache.convolve(self.head[2], self.head[:2](x))


class Decoder(nn.Module):
    """[B, z, t, h, w] to [B, 3, T, 8h, 8w]."""

    def __init__(self, config: WanVAEConfig, operations, **factory):
        super().__init__()
        widths = [config.dim * factor for factor in reversed(config.dim_mult)]
        temporal_upsample = config.temporal_downsample[::-1]
        self.conv1 = causal_conv(config.z_dim, widths[0], operations, **factory)
        self.middle = middle_layers(widths[0], operations, **factory)
        layers, inputs = [], widths[0]
        for level, width in enumerate(widths):
            for _ in range(config.num_res_blocks + 1):
                layers.append(ResidualBlock(inputs, width, operations, **factory))
                inputs = width
            if level < len(temporal_upsample):
                layers.append(Upsample(width, temporal_upsample[level], operations, **factory))
                inputs = width // 2
        self.upsamples = nn.Sequential(*layers)
        self.head = head_layers(inputs, 3, operations, **factory)

    def forward(self, x: Tensor, cache: TemporalCache) -> Tensor:
        x = cache.convolve(self.conv1, x)
        x = run([*self.middle, *self.upsamples], x, cache)
        return cache.convolve(self.head[2], self.head[:2](x))


class WanVAE(nn.Module):
    """Wan 2.1 video autoencoder; implements ``VideoCodec``.

    Memory of a call grows with its frames (about 50 MB per frame and full-resolution activation at 512 x 512 in
    bfloat16), that of a stream does not: give a long video group by group.

    Args:
        config: sizes.
        operations: namespace that provides ``Conv2d`` and ``Conv3d``.
        device, dtype: of the parameters. Inputs of the streams must match them.
    """

    spatial_factor = SPATIAL_FACTOR
    look_ahead = 0

    def __init__(self, config: WanVAEConfig | None = None, *, operations=nn, device=None, dtype=None):
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.config = config = config or WanVAEConfig()
        self.latent_channels = config.z_dim
        self.encoder = Encoder(config, operations, **factory)
        self.conv1 = operations.Conv3d(2 * config.z_dim, 2 * config.z_dim, 1, **factory)
        self.conv2 = operations.Conv3d(config.z_dim, config.z_dim, 1, **factory)
        self.decoder = Decoder(config, operations, **factory)

    def encode_stream(self) -> WanEncoder:
        """A fresh encoder stream."""
        return WanEncoder(self)

    def decode_stream(self, *, clamp: bool = True) -> WanDecoder:
        """A fresh decoder stream; ``clamp=False`` leaves the frames unlimited."""
        return WanDecoder(self, clamp)


def latent_statistics(like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents, each [1, 16, 1, 1, 1] with dtype and device of ``like``."""
    mean, std = (like.new_tensor(values).view(1, -1, 1, 1, 1) for values in (LATENT_MEAN, LATENT_STD))
    return mean, std


class WanEncoder:
    """Encoder stream. State: a ``TemporalCache``. Gives the mean of the posterior, normalised; nothing is drawn."""

    def __init__(self, vae: WanVAE):
        self.vae = vae
        self.cache = TemporalCache()
        self.statistics: tuple[Tensor, Tensor] | None = None  # made once: it is an upload

    def __call__(self, frames: Tensor) -> Tensor:
        """[B, 3, T, H, W] in [-1, 1] to latents [B, 16, t, H/8, W/8]; see ``StreamingEncoder``."""
        check_frames(frames, first=not self.cache.started)
        moments = self.vae.conv1(self.vae.encoder(frames, self.cache))
        self.cache.started = True
        self.statistics = mean, std = self.statistics or latent_statistics(moments)
        return (moments[:, : self.vae.latent_channels] - mean) / std

    def copy(self) -> WanEncoder:
        """See ``StreamingEncoder``."""
        other = WanEncoder(self.vae)
        other.cache, other.statistics = self.cache.copy(), self.statistics
        return other


class WanDecoder:
    """Decoder stream. State: a ``TemporalCache``."""

    def __init__(self, vae: WanVAE, clamp: bool):
        self.vae = vae
        self.clamp = clamp
        self.cache = TemporalCache()
        self.statistics: tuple[Tensor, Tensor] | None = None  # made once: it is an upload

    def __call__(self, latents: Tensor) -> Tensor:
        """[B, 16, t, h, w] to frames [B, 3, T, 8h, 8w] in [-1, 1]; see ``StreamingDecoder``."""
        check_latents(latents, self.vae.latent_channels)
        self.statistics = mean, std = self.statistics or latent_statistics(latents)
        frames = self.vae.decoder(self.vae.conv2(latents * std + mean), self.cache)
        self.cache.started = True
        return frames.clamp(-1, 1) if self.clamp else frames

    def copy(self) -> WanDecoder:
        """See ``StreamingDecoder``."""
        other = WanDecoder(self.vae, self.clamp)
        other.cache, other.statistics = self.cache.copy(), self.statistics
        return other
