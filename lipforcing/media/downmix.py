"""From any number of channels to the one that is listened to, and what was noticed on the way."""

from __future__ import annotations

from collections.abc import Sequence

import av
import torch

from ..audio.base import silence_broken

# Layouts that a number of channels means where nobody names the speakers.
_USUAL = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}

# ITU-R BS.775 for one channel; the effects channel is left out, whatever is not named is behind.
_SHARES = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
_BEHIND = 0.5

# Of the energy that unrelated channels would have together; what is below it was cancelled.
_CANCELLED = 0.1


def usual_layout(channels: int) -> tuple[str, tuple[str, ...]]:
    """FFmpeg's name of the layout that a number of channels means, and its speakers; "NONE" where it means none."""
    layout = av.AudioLayout(_USUAL.get(channels, f"{channels} channels"))
    return layout.name, tuple(channel.name for channel in layout.channels)


class Listening:
    """How a recording is listened to: collects what a whole pass finds, then mixes.

    Channels are mixed with the usual shares of their speakers. Where they cancel each other in the mix (a stereo
    recording with one side upside down), the loudest one is listened to instead.

    Args:
        speakers: names of the channels, as FFmpeg gives them; of mono, stereo and unnamed ones the mean is taken.

    Attributes:
        samples: heard so far, of each channel.
        broken: samples that were no numbers and are silence.
    """

    def __init__(self, speakers: Sequence[str]) -> None:
        plain = len(speakers) <= 2 or "NONE" in speakers
        shares = torch.tensor([1.0 if plain else _SHARES.get(name, _BEHIND) for name in speakers])
        self._shares = shares / shares.sum()
        self._energies = torch.zeros(len(speakers), dtype=torch.float64)
        self._mixed = 0.0
        self.samples = 0
        self.broken = 0

    def hear(self, block: torch.Tensor) -> torch.Tensor:
        """Go on with samples [channels, n]; gives them with silence where they were no numbers."""
        block, broken = silence_broken(block)
        self.samples += block.shape[1]
        self.broken += broken
        self._energies += block.square().sum(dim=1, dtype=torch.float64)
        self._mixed += float((self._shares @ block).square().sum(dtype=torch.float64))
        return block

    @property
    def cancelled(self) -> bool:
        """Whether the channels cancel each other."""
        return self._mixed < _CANCELLED * float((self._shares.double().square() * self._energies).sum())

    def mix(self, block: torch.Tensor) -> torch.Tensor:
        """Samples [channels, n] -> [n], after a whole pass."""
        return block[self._energies.argmax()] if self.cancelled else self._shares @ block
