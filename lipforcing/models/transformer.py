"""The diffusion transformer: one set of parameters, a bidirectional and a causal chunk-wise forward."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..timeline import TEMPORAL_FACTOR
from .attention import AttentionFunction, best_attention
from .blocks import AudioPack, Block, Head
from .conditioning import Conditioning, Inputs, Text
from .config import PATCH, WanConfig
from .rotary import Geometry
from .timestep import TimeEmbedding, TimeTable, timestep_embedding
from .window import WINDOW_FRAMES, KeysValues, Merged, Past, Rolling, Whole, Window


class WanTransformer(nn.Module):
    """Wan 2.1 transformer with an audio path, predicting the velocity ``eps - x0``.

    Teacher, critic and student are instances of this class. ``forward`` is the bidirectional network over a whole clip;
    ``forward_chunk``, ``cache_write`` and, both in one, ``forward_merged`` are the causal student over a stream of
    chunks; they differ in the window only. Key names are the official ones (docs/model.md, Parameter names).

    What does not change within a run is made once for it and handed in: ``geometry``, ``embed_times``, ``embed_text``.
    ``METHODS`` are the entrances for whoever shards, compiles or captures the network from outside.

    Args:
        config: sizes.
        operations: namespace that makes the layers (``torch.nn``, or a host's drop-in with casting and offloading).
        attention: see ``AttentionFunction``; by default the best there is.
        device, dtype: of the parameters.
    """

    METHODS = (
        "forward",
        "forward_chunk",
        "cache_write",
        "forward_merged",
        "embed_text",
        "embed_audio",
        "embed_time",
    )

    def __init__(
        self,
        config: WanConfig,
        operations=nn,
        attention: AttentionFunction | None = None,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        patch = (1, PATCH, PATCH)
        attention = attention or best_attention()
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

    def geometry(self, latent: Tensor, frames: int = WINDOW_FRAMES) -> Geometry:
        """The token grid and rotary table for latents [..., h, w] like ``latent``, on its device.

        ``frames``: temporal positions; the default serves the causal forwards, ``forward`` needs the clip's length.
        """
        height, width = latent.shape[-2] // PATCH, latent.shape[-1] // PATCH
        return Geometry.of(self.config.head_dim, frames, height, width, latent.device)

    def prepare(self, inputs: Inputs) -> Conditioning:
        """The inputs of a span as this network takes them; depends on its weights, so gradients flow into these."""
        return Conditioning(inputs.planes(), self.embed_audio(inputs.audio), self.embed_text(inputs.text))

    def embed_text(self, text: Tensor) -> Text:
        """Cross-attention keys and values of every block for a prompt [B, n, text_dim], n <= text_len.

        The network knows prompts of ``text_len`` positions, zeros after the words. These zeros take part in attention,
        all with the same key and value, so one of them stands for all that are not given.

        Raises:
            ValueError: the prompt is too long.
        """
        padding = self.config.text_len - text.shape[1]
        if padding < 0:
            raise ValueError(f"the prompt has {text.shape[1]} positions, the network takes {self.config.text_len}")
        bias = None
        if padding:
            text = F.pad(text, (0, 0, 0, 1))
            bias = F.pad(text.new_full((1,), math.log(padding)), (text.shape[1] - 1, 0))
        embedded = self.text_embedding(text)
        return Text(tuple(block.text_keys_values(embedded) for block in self.blocks), bias)

    def embed_audio(self, features: Tensor) -> Tensor:
        """Pack audio features, one row per video frame, to [B, latent frames, audio_hidden].

        ``features`` is [B, 4 n - 3, audio_dim] from the start of a clip (latent frame 0 covers one video frame, whose
        row is repeated four times) or [B, 4 n, audio_dim] for later latent frames.
        """
        if features.shape[1] % TEMPORAL_FACTOR == 1:
            repeats = features[:, :1].expand(-1, TEMPORAL_FACTOR - 1, -1)
            features = torch.cat((repeats, features), dim=1)
        return self.audio_proj(features)

    def embed_time(self, sigma: Tensor, like: Tensor) -> TimeEmbedding:
        """Embedding of noise levels in [0, 1], [B] or per latent frame [B, f], with dtype and device of ``like``."""
        levels = 1000.0 * sigma.view(sigma.shape[0], -1)
        sinusoids = timestep_embedding(levels, self.config.freq_dim).to(device=like.device, dtype=like.dtype)
        embedding = self.time_embedding(sinusoids)
        return TimeEmbedding(embedding, self.time_projection(embedding).unflatten(-1, (6, -1)))

    def embed_times(self, sigmas: Sequence[float], like: Tensor) -> TimeTable:
        """The embeddings of the few levels that a run knows."""
        return {sigma: self.embed_time(torch.tensor([sigma], dtype=torch.float64), like) for sigma in set(sigmas)}

    def forward(
        self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning, geometry: Geometry | None = None
    ) -> Tensor:
        """Velocity of a whole clip, every frame attending to every other.

        Args:
            x_t: noisy latents [B, 16, f, h, w].
            sigma: noise level in [0, 1], [B] or per latent frame [B, f].
            conditioning: of the same ``f`` latent frames.
            geometry: of the clip, where the caller has it already.
        """
        frames = x_t.shape[2]
        geometry = geometry or self.geometry(x_t, frames)
        time = self.embed_time(sigma, x_t)
        x = self._run(
            self.blocks, self._tokens(x_t, conditioning), time, conditioning, Whole(geometry.at(range(frames)))
        )
        return self._velocity(x, time, x_t)

    def forward_chunk(self, x_t: Tensor, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Tensor:
        """Velocity [B, 16, 3, h, w] of one noisy chunk that attends to itself and to its past."""
        x = self._run(self.blocks, self._tokens(x_t, conditioning), time, conditioning, window)
        return self._velocity(x, time, x_t)

    def cache_write(self, x0: Tensor, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Past:
        """The past of the next chunk, from the clean chunk ``x0`` [B, 16, 3, h, w] at the time of sigma 0.

        After the last block's keys nothing is needed any more, so neither the rest of that block nor the head runs.
        """
        *blocks, last = self.blocks
        own: list[KeysValues] = []
        x = self._run(blocks, self._tokens(x0, conditioning), time, conditioning, window, own)
        own.append(last.keys_values(self._add_audio(len(blocks), x, conditioning), time.six))
        return window.next(own)

    def forward_merged(
        self, x0: Tensor, x_t: Tensor, time: TimeEmbedding, conditioning: Conditioning, window: Merged
    ) -> tuple[Tensor, Past]:
        """``cache_write`` of a clean chunk and ``forward_chunk`` of the noisy one after it, in one go.

        Args:
            x0, x_t: [B, 16, 3, h, w].
            time: per latent frame of both chunks, sigma 0 first.
            conditioning: of both chunks.
            window: of both chunks.

        Returns:
            velocity of ``x_t`` [B, 16, 3, h, w], and what it has seen as its past.
        """
        frames = x0.shape[2]
        own: list[KeysValues] = []
        x = self._tokens(torch.cat((x0, x_t), dim=2), conditioning)
        x = self._run(self.blocks, x, time, conditioning, window, own)
        noisy = TimeEmbedding(time.embedding[:, frames:], time.six[:, frames:])
        return self._velocity(x[:, frames:], noisy, x_t), window.next(own)

    def _tokens(self, x_t: Tensor, conditioning: Conditioning) -> Tensor:
        """Patch embedding of noisy latents beside the conditioning channels: [B, f, S, dim]."""
        x = self.patch_embedding(torch.cat((x_t, conditioning.planes.to(x_t)), dim=1))
        return rearrange(x, "b d f h w -> b f (h w) d")

    def _run(
        self,
        blocks: Iterable[Block],
        x: Tensor,
        time: TimeEmbedding,
        conditioning: Conditioning,
        window: Window,
        own: list[KeysValues] | None = None,
    ) -> Tensor:
        """The residual stream after ``blocks``; ``own`` collects their keys and values, which otherwise are let go."""
        for i, block in enumerate(blocks):
            x = self._add_audio(i, x, conditioning)
            x, keys_values = block(x, time.six, conditioning.text.layer(i), window.layer(i))
            if own is not None:
                own.append(keys_values)
        return x

    def _add_audio(self, block: int, x: Tensor, conditioning: Conditioning) -> Tensor:
        """Add the audio of each latent frame to all its tokens, before the blocks that receive it."""
        if block not in self.config.audio_blocks:
            return x
        projection = self.audio_cond_projs[block - self.config.audio_blocks.start]
        return x + projection(conditioning.audio.to(x)).unsqueeze(2)

    def _velocity(self, x: Tensor, time: TimeEmbedding, x_t: Tensor) -> Tensor:
        """Head and unpatchify: tokens [B, f, S, dim] -> [B, 16, f, h, w] like ``x_t``."""
        return rearrange(
            self.head(x, time.embedding),
            "b f (h w) (p q c) -> b c f (h p) (w q)",
            h=x_t.shape[-2] // PATCH,
            p=PATCH,
            q=PATCH,
        )
