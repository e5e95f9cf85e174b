"""Layers of the Wan transformer (docs/model.md, Block); attribute names are the key names of the checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import AttentionFunction
from .config import WanConfig
from .window import KeysValues, LayerWindow


def modulation(vectors: int, dim: int, device=None, dtype=None) -> nn.Parameter:
    """Untrained modulation vectors [1, vectors, dim]."""
    # No random numbers can be drawn in float8, in which a host may want the weights.
    return nn.Parameter((torch.randn(1, vectors, dim, device=device) / dim**0.5).to(dtype))


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """``x (1 + scale) + shift``, rounded once: in half precision a residual stream feels every rounding."""
    return torch.addcmul(shift, x, 1 + scale)


class Attention(nn.Module):
    """Projections of multi-head attention; queries and keys are normalised over their full width."""

    def __init__(self, config: WanConfig, attention: AttentionFunction, operations, **factory) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.attention = attention
        self.q = operations.Linear(config.dim, config.dim, **factory)
        self.k = operations.Linear(config.dim, config.dim, **factory)
        self.v = operations.Linear(config.dim, config.dim, **factory)
        self.o = operations.Linear(config.dim, config.dim, **factory)
        self.norm_q = operations.RMSNorm(config.dim, eps=config.eps, **factory)
        self.norm_k = operations.RMSNorm(config.dim, eps=config.eps, **factory)

    def queries(self, x: Tensor) -> Tensor:
        """Queries, before rotation, of ``x`` [B, N, dim]: [B, N, heads, head_dim]."""
        return self.norm_q(self.q(x)).unflatten(-1, (self.num_heads, -1))

    def keys_values(self, x: Tensor) -> KeysValues:
        """Keys, before rotation, and values of ``x`` [B, N, dim]; each [B, N, heads, head_dim]."""
        heads = (self.num_heads, -1)
        return self.norm_k(self.k(x)).unflatten(-1, heads), self.v(x).unflatten(-1, heads)


class SelfAttention(Attention):
    """Attention among the tokens of a span, and to the past that its window shows."""

    def forward(self, x: Tensor, window: LayerWindow) -> tuple[Tensor, KeysValues]:
        """Attend from ``x`` [B, N, dim]; also gives the span's own keys, before rotation, and values."""
        own = self.keys_values(x)
        attended = window.attend(self.attention, self.queries(x), *own)
        return self.o(attended.flatten(2)), own


class CrossAttention(Attention):
    """Attention from video tokens to all text positions, padding included; nothing is rotated."""

    def forward(self, x: Tensor, text: tuple[Tensor, Tensor, Tensor | None]) -> Tensor:
        """Attend from ``x`` [B, N, dim] to text keys and values [B, n, heads, head_dim] with a bias [n] or None."""
        return self.o(self.attention(self.queries(x), *text).flatten(2))


class Block(nn.Module):
    """Self-attention, cross-attention and feed-forward with adaptive layer norm (AdaLN).

    The six modulation vectors are, in order: shift, scale, gate of self-attention; shift, scale, gate of the
    feed-forward. Cross-attention has an affine norm and no gate. Whatever a network asks of a block is one of
    ``METHODS``, so that a block can be sharded or compiled as a unit.
    """

    METHODS = ("forward", "keys_values", "text_keys_values")

    def __init__(self, config: WanConfig, attention: AttentionFunction, operations, **factory) -> None:
        super().__init__()
        norm = {"eps": config.eps, "elementwise_affine": False, **factory}
        self.norm1 = operations.LayerNorm(config.dim, **norm)
        self.self_attn = SelfAttention(config, attention, operations, **factory)
        self.norm3 = operations.LayerNorm(config.dim, eps=config.eps, **factory)
        self.cross_attn = CrossAttention(config, attention, operations, **factory)
        self.norm2 = operations.LayerNorm(config.dim, **norm)
        self.ffn = nn.Sequential(
            operations.Linear(config.dim, config.ffn_dim, **factory),
            nn.GELU(approximate="tanh"),
            operations.Linear(config.ffn_dim, config.dim, **factory),
        )
        self.modulation = modulation(6, config.dim, **factory)

    def _modulate(self, six: Tensor) -> tuple[Tensor, ...]:
        """Six vectors [B or 1, f or 1, 1, dim] from the projected time embedding [B or 1, f or 1, 6, dim]."""
        return (self.modulation.to(six)[None] + six).unsqueeze(3).unbind(2)

    def _attention_input(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """Modulated input [B, N, dim] of self-attention, from the residual stream ``x`` [B, f, S, dim]."""
        return modulated(self.norm1(x), shift, scale).flatten(1, 2)

    def forward(
        self, x: Tensor, six: Tensor, text: tuple[Tensor, Tensor, Tensor | None], window: LayerWindow
    ) -> tuple[Tensor, KeysValues]:
        """Run the block.

        Args:
            x: residual stream [B, f, S, dim] (f latent frames of S tokens).
            six: projected time embedding [B or 1, f or 1, 6, dim].
            text: keys, values and bias of the prompt.
            window: what the tokens attend to.

        Returns:
            residual stream, and the span's own keys, before rotation, and values, [B, f * S, heads, head_dim].
        """
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = self._modulate(six)
        attended, own = self.self_attn(self._attention_input(x, shift, scale), window)
        x = torch.addcmul(x, gate, attended.view_as(x))
        x = x + self.cross_attn(self.norm3(x).flatten(1, 2), text).view_as(x)
        return torch.addcmul(x, ffn_gate, self.ffn(modulated(self.norm2(x), ffn_shift, ffn_scale))), own

    def keys_values(self, x: Tensor, six: Tensor) -> KeysValues:
        """What ``forward`` gives second, without the rest: all that a cache write needs of the last block."""
        shift, scale, *_ = self._modulate(six)
        return self.self_attn.keys_values(self._attention_input(x, shift, scale))

    def text_keys_values(self, embedded: Tensor) -> KeysValues:
        """Keys and values of a prompt [B, n, dim], for ``forward``; each [B, n, heads, head_dim]."""
        return self.cross_attn.keys_values(embedded)


class Head(nn.Module):
    """Modulated projection of tokens to patches; uses the time embedding before its six-fold projection."""

    def __init__(self, config: WanConfig, patch_values: int, operations, **factory) -> None:
        super().__init__()
        self.norm = operations.LayerNorm(config.dim, eps=config.eps, elementwise_affine=False, **factory)
        self.head = operations.Linear(config.dim, patch_values, **factory)
        self.modulation = modulation(2, config.dim, **factory)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """``x`` [B, f, S, dim], ``time`` [B, f or 1, dim] -> [B, f, S, patch_values]."""
        shift, scale = (self.modulation.to(time)[None] + time.unsqueeze(2)).unsqueeze(3).unbind(2)
        return self.head(modulated(self.norm(x), shift, scale))


class AudioPack(nn.Module):
    """Packs the audio features of the four video frames of a latent frame into one small vector."""

    def __init__(self, config: WanConfig, frames: int, operations, **factory) -> None:
        super().__init__()
        self.frames = frames
        self.proj = operations.Linear(frames * config.audio_dim, config.audio_hidden, **factory)
        self.norm_out = operations.LayerNorm(config.audio_hidden, **factory)

    def forward(self, features: Tensor) -> Tensor:
        """[B, frames * n, audio_dim] -> [B, n, audio_hidden]; a group is flattened frame by frame."""
        return self.norm_out(self.proj(features.unflatten(1, (-1, self.frames)).flatten(2)))
