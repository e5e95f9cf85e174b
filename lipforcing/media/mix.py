"""Several recordings heard together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import av
import torch
from torch import Tensor

from .audio import Recording
from .downmix import usual_layout


class Mix(Recording):
    """Recordings that begin together, added up; as long as the longest.

    At the highest rate among them; stereo if any of them is, for more channels are mixed to one. Where the sum would
    exceed full scale all of it is turned down.

    Args:
        parts: at least one.
    """

    name = "the mix of the speakers"
    bits = 24

    def __init__(self, parts: Sequence[Recording]) -> None:
        self.parts = tuple(parts)
        self.sample_rate = max(part.sample_rate for part in parts)
        self.layout, self.speakers = usual_layout(2 if any(part.channels == 2 for part in parts) else 1)

    @property
    def notes(self) -> list[str]:
        return [note for part in self.parts for note in part.notes]

    @cached_property
    def gain(self) -> float:
        """What the sum is multiplied with, at most 1."""
        return 1 / max(1.0, *(float(piece.abs().max()) for piece in self._sums()))

    def _pieces(self) -> Iterator[Tensor]:
        return (piece * self.gain for piece in self._sums())

    def _sums(self) -> Iterator[Tensor]:
        sources = [self._converted(part) for part in self.parts]
        held = [torch.zeros(self.channels, 0) for _ in sources]
        open_ones = set(range(len(sources)))
        while open_ones:
            for number in sorted(open_ones):
                if not held[number].shape[1]:
                    piece = next(sources[number], None)
                    if piece is None:
                        open_ones.discard(number)
                    else:
                        held[number] = piece
            length = min((held[number].shape[1] for number in open_ones), default=0)
            if length:
                yield sum(held[number][:, :length] for number in sorted(open_ones))
            for number in open_ones:
                held[number] = held[number][:, length:]

    def _converted(self, part: Recording) -> Iterator[Tensor]:
        """A part at the rate of the mix, with its channels."""
        single = part.channels != 2
        resampler = av.AudioResampler("fltp", self.layout, self.sample_rate)
        for block in part.blocks():
            block = part.listening.mix(block)[None] if single else block
            frame = av.AudioFrame.from_ndarray(block.contiguous().numpy(), "fltp", "mono" if single else "stereo")
            frame.sample_rate = part.sample_rate
            yield from (torch.from_numpy(out.to_ndarray()) for out in resampler.resample(frame))
        yield from (torch.from_numpy(out.to_ndarray()) for out in resampler.resample(None))
