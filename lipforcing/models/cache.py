"""Key/value caches of the causal student.

A cache answers three questions for the chunk that is being denoised: what of the past does it see, at which temporal
rotary position does it stand itself, and where do its own keys go once it is clean.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..timeline import CHUNK_LATENTS
from .config import WanConfig

SINK_FRAMES = 1


class RollingKVCache:
    """Past of a stream in constant memory: latent frame 0 (the sink) and the previous chunk.

    Buffers ``keys`` and ``values``: [layers, B, 4 * tokens_per_frame, heads, head_dim]. Slot ``i`` (one latent frame of
    tokens) is always seen at rotary position ``i``, so keys are stored already rotated:

        chunk    sees slots (= positions)       stands at    is stored in slots
        0        -                              0 1 2        0 1 2
        1        0 1 2    (chunk 0)             3 4 5        1 2 3    (frames 1, 2 of chunk 0 are dropped)
        c >= 2   0 | 1 2 3  (sink, chunk c-1)   4 5 6        1 2 3

    This is the window of seven latent frames with one sink and window-local positions of the paper
    (model-and-inference fact sheet, section 4.2). ``frames`` is the number of filled slots: 0, 3, then always 4.
    """

    slots = SINK_FRAMES + CHUNK_LATENTS

    def __init__(self, config: WanConfig, batch: int, tokens_per_frame: int, *, device, dtype) -> None:
        shape = (config.num_layers, batch, self.slots * tokens_per_frame, config.num_heads, config.head_dim)
        self.keys = torch.empty(shape, device=device, dtype=dtype)
        self.values = torch.empty(shape, device=device, dtype=dtype)
        self.tokens_per_frame = tokens_per_frame
        self.frames = 0

    def query_positions(self, frames: int) -> range:
        """Rotary positions of a chunk of ``frames`` latent frames that is being denoised."""
        return range(self.frames, self.frames + frames)

    def write_positions(self, frames: int) -> range:
        """Rotary positions (= slots) at which that chunk will be seen by the next one."""
        start = SINK_FRAMES if self.frames else 0
        if start + frames > self.slots:
            raise ValueError(
                f"a chunk of {frames} latent frames does not fit the rolling cache, which was built for chunks of "
                f"{CHUNK_LATENTS}; writing it would overwrite the sink with later frames"
            )
        return range(start, start + frames)

    def read(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys (rotated) and values of the visible past, each [B, frames * tokens_per_frame, heads, head_dim]."""
        end = self.frames * self.tokens_per_frame
        return self.keys[layer, :, :end], self.values[layer, :, :end]

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Store a clean chunk: ``keys`` rotated at ``write_positions``, both [B, chunk tokens, heads, head_dim]."""
        start = (SINK_FRAMES if self.frames else 0) * self.tokens_per_frame
        self.keys[layer, :, start : start + keys.shape[1]] = keys.detach()
        self.values[layer, :, start : start + values.shape[1]] = values.detach()

    def advance(self, frames: int) -> None:
        """Count a chunk as past, after all layers have written it."""
        self.frames = self.write_positions(frames).stop


class FullKVCache:
    """The whole past at absolute positions: memory grows with the stream (unlimited window of the reference).

    ``keys[layer]`` and ``values[layer]``: [B, frames * tokens_per_frame, heads, head_dim], keys rotated.
    """

    def __init__(self, config: WanConfig, batch: int, tokens_per_frame: int, *, device, dtype) -> None:
        empty = torch.empty((batch, 0, config.num_heads, config.head_dim), device=device, dtype=dtype)
        self.keys = [empty] * config.num_layers
        self.values = [empty] * config.num_layers
        self.tokens_per_frame = tokens_per_frame
        self.frames = 0

    def query_positions(self, frames: int) -> range:
        """Rotary positions of a chunk of ``frames`` latent frames that is being denoised."""
        return range(self.frames, self.frames + frames)

    write_positions = query_positions

    def read(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys (rotated) and values of the whole past."""
        return self.keys[layer], self.values[layer]

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Append a clean chunk."""
        self.keys[layer] = torch.cat((self.keys[layer], keys.detach()), dim=1)
        self.values[layer] = torch.cat((self.values[layer], values.detach()), dim=1)

    def advance(self, frames: int) -> None:
        """Count a chunk as past, after all layers have written it."""
        self.frames += frames


KVCache = RollingKVCache | FullKVCache
