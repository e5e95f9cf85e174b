"""A run: one person from appearing to cut or loss, and all that is remembered of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..codecs.base import StreamingDecoder, StreamingEncoder
from ..faces.paste import ColourMatch
from ..models import Conditioning, Past
from ..sampling.noise import NoiseKey
from .family import Family
from .voice import Voice


@dataclass(eq=False)
class Run:
    """State of one person's run; every stage keeps to its own part of it, so stages may overlap.

    Attributes:
        key: of its noise.
        voice: what it says; None where faces are given, not generated.
        encoder, reference: of the encoding stage: codec stream, and latent of the run's first frame [1, 16, 1, h, w].
        past, pending: of the denoising stage: what the next chunk sees, and the chunk that is to become past first.
        decoder: of the decoding stage.
        match, last_face: of the pasting stage: colours, and the crop [3, S, S] of the last tick.
        chunks: how many were generated.
    """

    key: NoiseKey
    voice: Voice | None
    encoder: StreamingEncoder
    decoder: StreamingDecoder
    reference: Tensor | None = None
    past: Past = field(default_factory=Past)
    pending: tuple[Tensor, Conditioning] | None = None
    match: ColourMatch = field(default_factory=ColourMatch)
    last_face: Tensor | None = None
    chunks: int = 0

    @classmethod
    def start(cls, family: Family, key: NoiseKey, voice: Voice) -> Run:
        """A run at its first frame."""
        return cls(key, voice, family.codec.encode_stream(), family.decoder.decode_stream())


def past_of(runs: Sequence[Run]) -> Past:
    """The pasts of runs, all as long, as a batch."""
    if len(runs) == 1 or not runs[0].past.frames:
        return runs[0].past
    layers = zip(*(run.past.layers for run in runs))
    joined = tuple(tuple(torch.cat(parts) for parts in zip(*layer)) for layer in layers)
    return Past(joined, runs[0].past.frames)


def split_past(past: Past, count: int) -> list[Past]:
    """A batch of pasts one by one."""
    if count == 1:
        return [past]
    return [Past(tuple((k[i : i + 1], v[i : i + 1]) for k, v in past.layers), past.frames) for i in range(count)]
