"""What a span of latent frames attends to, and what of it the span after it will see.

A window is made for one forward and asked two things: how a layer attends (``layer(i).attend``), and, after a cache
write, what is past now (``next``). Nothing in here is ever written to: a new ``Past`` takes the place of the old one,
so a forward that is repeated later (activation checkpointing) sees what it saw.

    chunk    sees slots (= positions)       stands at    becomes slots
    0        -                              0 1 2        0 1 2
    1        0 1 2    (chunk 0)             3 4 5        1 2 3    (frames 1, 2 of chunk 0 are dropped)
    c >= 2   0 | 1 2 3  (sink, chunk c-1)   4 5 6        1 2 3

This is the window of seven latent frames with one sink and window-local positions (docs/model.md, Attention window).
A frame in slot i is always seen at rotary position i, so keys are kept rotated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..timeline import CHUNK_LATENTS
from .attention import AttentionFunction
from .config import WanConfig
from .rotary import Geometry, Rotary

KeysValues = tuple[Tensor, Tensor]

SINK_FRAMES = 1
SLOTS = SINK_FRAMES + CHUNK_LATENTS  # latent frames that are kept
WINDOW_FRAMES = SLOTS + CHUNK_LATENTS  # latent frames that are seen


@dataclass(frozen=True, eq=False)
class Past:
    """What a chunk sees of the chunks before it.

    Attributes:
        layers: per block the keys, rotated for slots 0 to ``frames`` - 1, and the values; each
            [B, frames * tokens, heads, head_dim]. Empty before the first cache write.
        frames: latent frames held: 0, 3, then always 4.
    """

    layers: tuple[KeysValues, ...] = ()
    frames: int = 0

    def layer(self, index: int) -> KeysValues | None:
        """Keys and values of one block; None where nothing is past."""
        return self.layers[index] if self.frames else None


class LayerWindow(Protocol):
    """One layer's share of a window: tensors only, so that one compiled block serves all layers."""

    def attend(self, attention: AttentionFunction, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of a span's own queries, keys (neither rotated yet) and values, [B, N, heads, head_dim] each."""
        ...


class Window(Protocol):
    """What the blocks of one forward attend to."""

    def layer(self, index: int) -> LayerWindow:
        """The window as block ``index`` sees it."""
        ...


@dataclass(frozen=True, eq=False)
class Span:
    """Latent frames that attend to each other and to a past.

    Attributes:
        rotary: at the frames' own positions.
        past: keys (rotated) and values in front of the span's own.
    """

    rotary: Rotary
    past: KeysValues | None = None

    def attend(self, attention: AttentionFunction, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k = self.rotary(k)
        if self.past is not None:
            k, v = torch.cat((self.past[0], k), dim=1), torch.cat((self.past[1], v), dim=1)
        return attention(self.rotary(q), k, v)


@dataclass(frozen=True, eq=False)
class Keep:
    """From a chunk's own keys and values to what a layer holds once the chunk is past.

    Attributes:
        rotary: at the chunk's slots.
        sink: keys (rotated) and values of slot 0 where the chunk does not fill it itself.
    """

    rotary: Rotary
    sink: KeysValues | None

    def __call__(self, k: Tensor, v: Tensor) -> KeysValues:
        k = self.rotary(k)
        if self.sink is None:
            return k, v
        return torch.cat((self.sink[0], k), dim=1), torch.cat((self.sink[1], v), dim=1)


@dataclass(frozen=True, eq=False)
class Whole:
    """A whole clip at once, every frame seeing every other at its own number: the bidirectional network."""

    rotary: Rotary

    def layer(self, index: int) -> Span:
        return Span(self.rotary)


@dataclass(frozen=True, eq=False)
class Rolling:
    """A chunk after a past.

    Attributes:
        geometry: of the run.
        past: what the chunk sees.
        frames: latent frames of the chunk.
    """

    geometry: Geometry
    past: Past
    frames: int = CHUNK_LATENTS

    @property
    def positions(self) -> range:
        """Where the chunk stands."""
        return range(self.past.frames, self.past.frames + self.frames)

    @property
    def slots(self) -> range:
        """Where it will be seen by the next one.

        Raises:
            ValueError: the chunk is too long to be kept.
        """
        start = SINK_FRAMES if self.past.frames else 0
        if start + self.frames > SLOTS:
            raise ValueError(
                f"a chunk of {self.frames} latent frames does not fit the rolling window, which holds {SLOTS}; "
                f"give chunks of {CHUNK_LATENTS}"
            )
        return range(start, start + self.frames)

    def layer(self, index: int) -> Span:
        return Span(self.geometry.at(self.positions), self.past.layer(index))

    def keep(self, index: int) -> Keep:
        """How block ``index`` goes on to the next past."""
        past, sink = self.past.layer(index), SINK_FRAMES * self.geometry.tokens
        return Keep(self.geometry.at(self.slots), None if past is None else (past[0][:, :sink], past[1][:, :sink]))

    def next(self, own: Sequence[KeysValues]) -> Past:
        """The past of the next chunk, from every block's keys (not rotated) and values of this, clean, chunk."""
        return Past(tuple(self.keep(i)(*kv) for i, kv in enumerate(own)), self.slots.stop)


@dataclass(frozen=True, eq=False)
class StaticRolling(Rolling):
    """A rolling window whose next past is written into fixed buffers, for graphs that are captured once.

    Two pasts take turns (``static_pasts``): one is read while the other is written. The rule that a past is never
    written to holds as long as nobody looks at the one before the last.

    Attributes:
        into: the buffers that the next past is written into; not those of ``past``.
    """

    into: Past = Past()

    def next(self, own: Sequence[KeysValues]) -> Past:
        past = super().next(own)
        layers = []
        for new, buffers in zip(past.layers, self.into.layers, strict=True):
            layers.append(tuple(buffer[:, : part.shape[1]].copy_(part) for part, buffer in zip(new, buffers)))
        return self.into if past.frames == SLOTS else Past(tuple(layers), past.frames)


def static_pasts(config: WanConfig, geometry: Geometry, batch: int, like: Tensor) -> tuple[Past, Past]:
    """Two sets of buffers for ``StaticRolling``, zero, of the dtype and device of ``like``."""
    shape = (batch, SLOTS * geometry.tokens, config.num_heads, config.head_dim)

    def past() -> Past:
        return Past(tuple((like.new_zeros(shape), like.new_zeros(shape)) for _ in range(config.num_layers)), SLOTS)

    return past(), past()


@dataclass(frozen=True, eq=False)
class MergedLayer:
    """One layer of ``Merged``."""

    first: Span
    keep: Keep
    second: Rotary

    def attend(self, attention: AttentionFunction, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        n = len(self.first.rotary.cos)
        written = self.first.attend(attention, q[:, :n], k[:, :n], v[:, :n])
        second = Span(self.second, self.keep(k[:, :n], v[:, :n]))
        return torch.cat((written, second.attend(attention, q[:, n:], k[:, n:], v[:, n:])), dim=1)


@dataclass(frozen=True, eq=False)
class Merged:
    """Two chunks in one forward: the clean one that is written, and the next one in its first denoising step.

    Each sees what it would see alone; one forward of twice the tokens keeps a device busier than two.

    Attributes:
        first: window of the clean chunk.
    """

    first: Rolling

    def layer(self, index: int) -> MergedLayer:
        start = self.first.slots.stop
        second = self.first.geometry.at(range(start, start + CHUNK_LATENTS))
        return MergedLayer(self.first.layer(index), self.first.keep(index), second)

    def next(self, own: Sequence[KeysValues]) -> Past:
        """The past of the second chunk, from every block's keys and values of both."""
        n = self.first.frames * self.first.geometry.tokens
        return self.first.next([(k[:, :n], v[:, :n]) for k, v in own])
