"""The diffusion transformer: one set of parameters, a bidirectional and a causal chunk-wise forward."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn

from ..timeline import TEMPORAL_FACTOR
from .attention import AttentionFunction, default_attention
from .blocks import AudioPack, Block, Head
from .cache import KVCache
from .conditioning import Conditioning, TextKV
from .config import PATCH, WanConfig
from .rotary import Rotary


def timestep_embedding(timestep: Tensor, dim: int) -> Tensor:
    """Sinusoids [..., dim] of ``timestep`` [...] (0 to 999): all cosines, then all sines; float64."""
    half = dim // 2
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float64) / half)
    angles = timestep.double().cpu()[..., None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


class WanTransformer(nn.Module):
    """Wan 2.1 transformer with an audio path, predicting the velocity ``eps - x0``.

    Teacher, critic and student are instances of this class. ``forward`` is the bidirectional network over a whole clip;
    ``forward_chunk`` and ``remember`` are the causal student over a stream of chunks. Key names are those of the
    official checkpoints (model-and-inference fact sheet, section 2.1).

    Args:
        config: sizes.
        operations: namespace that makes the layers (``torch.nn``, or a host's drop-in with casting and offloading).
        attention: function of q, k, v, each [B, tokens, heads, head_dim].
        device, dtype: of the parameters.
    """

    def __init__(
        self,
        config: WanConfig,
        operations=nn,
        attention: AttentionFunction = default_attention,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        patch = (1, PATCH, PATCH)
        self.config = config
        self.patch_embedding = operations.Conv3d(config.in_dim, config.dim, kernel_size=patch, stride=patch, **factory)
        self.text_embedding = nn.Sequential(
            operations.Linear(config.text_dim, config.dim, **factory),
            nn.GELU(approximate="tanh"),
            operations.Linear(config.dim, config.dim, **factory),
        )
        self.time_embedding = nn.Sequential(
            operations.Linear(config.freq_dim, config.dim, **factory),
            nn.SiLU(),
            operations.Linear(config.dim, config.dim, **factory),
        )
        self.time_projection = nn.Sequential(nn.SiLU(), operations.Linear(config.dim, 6 * config.dim, **factory))
        self.blocks = nn.ModuleList(Block(config, attention, operations, **factory) for _ in range(config.num_layers))
        self.head = Head(config, PATCH * PATCH * config.out_dim, operations, **factory)
        self.audio_proj = AudioPack(config, TEMPORAL_FACTOR, operations, **factory)
        self.audio_cond_projs = nn.ModuleList(
            operations.Linear(config.audio_hidden, config.dim, **factory) for _ in config.audio_blocks
        )

    def embed_text(self, text: Tensor) -> TextKV:
        """Cross-attention keys and values of every block for ``text`` [B, text_len, text_dim]; constant for a clip."""
        embedded = self.text_embedding(text)
        return [block.cross_attn.keys_values(embedded) for block in self.blocks]

    def embed_audio(self, features: Tensor, first: bool = True) -> Tensor:
        """Pack audio features, one row per video frame, to [B, latent frames, audio_hidden].

        ``features`` is [B, 4 n - 3, audio_dim] from the start of a clip (``first``; latent frame 0 covers one video
        frame, whose row is repeated four times) or [B, 4 n, audio_dim] for later latent frames.
        """
        if first:
            repeats = features[:, :1].expand(-1, TEMPORAL_FACTOR - 1, -1)
            features = torch.cat((repeats, features), dim=1)
        return self.audio_proj(features)

    def forward(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Velocity of a whole clip, every frame attending to every other.

        Args:
            x_t: noisy latents [B, 16, f, h, w].
            sigma: noise level in [0, 1], [B] or per latent frame [B, f].
            conditioning: of the same ``f`` latent frames.
        """
        x, time, six = self._embed(x_t, sigma, conditioning)
        rotary = self.rotary(range, x_t)
        for i, block in enumerate(self.blocks):
            x = block(self._add_audio(i, x, conditioning), six, conditioning.text[i], rotary)
        return self._project(x, time, x_t)

    def forward_chunk(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning, cache: KVCache) -> Tensor:
        """Velocity of one chunk that attends to itself and to the past held by ``cache`` (which stays as it is)."""
        x, time, six = self._embed(x_t, sigma, conditioning)
        rotary = self.rotary(cache.query_positions, x_t)
        for i, block in enumerate(self.blocks):
            x = block(self._add_audio(i, x, conditioning), six, conditioning.text[i], rotary, cache.read(i))
        return self._project(x, time, x_t)

    def remember(self, x0: Tensor, conditioning: Conditioning, cache: KVCache) -> None:
        """Cache write: run the clean chunk at sigma 0 and store its keys and values, then count it as past.

        After the last block's keys nothing is needed any more, so neither the rest of that block nor the head runs.
        """
        frames = x0.shape[2]
        x, _, six = self._embed(x0, x0.new_zeros(x0.shape[0]), conditioning)
        rotary = self.rotary(cache.query_positions, x0)
        write_rotary = self.rotary(cache.write_positions, x0)

        def store_layer(layer: int) -> Callable[[Tensor, Tensor], None]:
            return lambda keys, values: cache.write(layer, write_rotary(keys), values)

        *blocks, last = self.blocks
        for i, block in enumerate(blocks):
            x = self._add_audio(i, x, conditioning)
            x = block(x, six, conditioning.text[i], rotary, cache.read(i), store_layer(i))
        shift, scale, *_ = last.modulate(six)
        store_layer(len(blocks))(*last.self_attn.keys_values(last.attention_input(x, shift, scale)))
        cache.advance(frames)

    def _embed(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [B, f, S, dim], time embedding [B, f or 1, dim] and its six-fold projection [B, f or 1, 6, dim]."""
        x = self.patch_embedding(torch.cat((x_t, conditioning.channels().to(x_t)), dim=1))
        timestep = 1000.0 * sigma.double().cpu()
        sinusoids = timestep_embedding(timestep.view(x_t.shape[0], -1), self.config.freq_dim)
        time = self.time_embedding(sinusoids.to(device=x.device, dtype=x.dtype))
        six = self.time_projection(time).unflatten(-1, (6, -1))
        return rearrange(x, "b d f h w -> b f (h w) d"), time, six

    def _add_audio(self, block: int, x: Tensor, conditioning: Conditioning) -> Tensor:
        """Add the audio of each latent frame to all its tokens, before the blocks that receive it."""
        if block not in self.config.audio_blocks:
            return x
        projection = self.audio_cond_projs[block - self.config.audio_blocks.start]
        return x + projection(conditioning.audio.to(x)).unsqueeze(2)

    def rotary(self, positions: Callable[[int], range], x_t: Tensor) -> Rotary:
        """Rotation for the latent frames of ``x_t`` [B, 16, f, h, w] at the temporal ``positions(f)``."""
        frames = positions(x_t.shape[2])
        height, width = x_t.shape[-2] // PATCH, x_t.shape[-1] // PATCH
        return Rotary.at(frames, height, width, self.config.head_dim, x_t.device)

    def _project(self, x: Tensor, time: Tensor, x_t: Tensor) -> Tensor:
        """Head and unpatchify: tokens [B, f, S, dim] -> [B, 16, f, h, w]."""
        return rearrange(
            self.head(x, time),
            "b f (h w) (p q c) -> b c f (h p) (w q)",
            h=x_t.shape[-2] // PATCH,
            p=PATCH,
            q=PATCH,
        )
