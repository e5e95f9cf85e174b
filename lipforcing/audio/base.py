"""What every audio encoder of the engine offers: sound goes in as it comes, one row per 25-fps frame comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from ..timeline import FPS, SAMPLE_RATE
from .manner import PLAIN, Manner


@dataclass(frozen=True)
class Window:
    """Rows that are encoded together by an encoder that would otherwise look at the whole recording.

    ``step`` rows become final at a time, encoded with ``before`` rows in front of them and ``after`` behind, as if
    these were all there is. Work per second of sound is that of (before + step + after) / step seconds.
    """

    before: int
    step: int
    after: int

    @classmethod
    def of_seconds(cls, seconds: float) -> Window:
        """A window of this length that keeps its middle half."""
        context = max(1, round(seconds * FPS / 4))
        return cls(context, 2 * context, context)


#: For sound that comes as it is spoken.
LIVE = Window(before=250, step=3, after=12)

#: For recordings too long to be encoded as a whole, where nobody waits: a fortieth of the work.
LONG = Window.of_seconds(30)


class AudioStream(Protocol):
    """One recording on its way through an encoder; rows come out in order, one per 25-fps frame (640 samples).

    Row i starts at sample 640 i. The rows are the same whatever the sizes of the pushes, bit for bit. A stream with
    finite look-ahead never changes its state in place, so ``copy.copy(stream)`` is a snapshot to go on from.
    """

    def push(self, samples: torch.Tensor) -> torch.Tensor:
        """Take the next samples: mono float32 [n] in [-1, 1] at 16 kHz, any n >= 0, on any device.

        Returns:
            [k, feature_dim] float32 on the encoder's device: the rows that are final now, k >= 0.
        """
        ...

    def finish(self, frames: int = 0) -> torch.Tensor:
        """The recording ends here: the rest of the rows [k, feature_dim]; the stream is used up.

        In all there are max(ceil(samples / 640), frames) rows. ``frames`` is the number of frames really shown; those
        beyond the sound hear silence. To fill a last chunk repeat the last row instead (``fit_rows``): silence that
        is asked for changes the rows before it where an encoder looks at the whole recording.
        """
        ...


class AudioEncoder(Protocol):
    """Turns speech into the rows that condition the video model.

    Attributes:
        feature_dim: length D of a row.
        look_ahead: row i is final as soon as 640 i + look_ahead samples have been pushed, for some rows sooner;
            ``math.inf`` where no row is final before the end.
        max_seconds: longest recording for which a stream stays within its stated memory; longer ones take
            ``windowed(LONG)``. ``math.inf`` where memory does not grow.
    """

    feature_dim: int
    look_ahead: float
    max_seconds: float

    def stream(self) -> AudioStream:
        """A stream for one recording."""
        ...

    def windowed(self, window: Window = LIVE) -> AudioEncoder:
        """This encoder with finite look-ahead and constant memory; itself where it has both."""
        ...


def encode_audio(encoder: AudioEncoder, waveform: torch.Tensor, frames: int = 0) -> torch.Tensor:
    """All rows [max(ceil(samples / 640), frames), D] of a recording (mono [samples] in [-1, 1] at 16 kHz)."""
    stream = encoder.stream()
    return torch.cat([stream.push(waveform), stream.finish(frames)])


def fit_rows(rows: torch.Tensor, count: int) -> torch.Tensor:
    """The first ``count`` of ``rows`` [n, D], the last one repeated where there are fewer: [count, D]; n > 0."""
    return torch.cat([rows[:count], rows[-1:].expand(max(0, count - len(rows)), -1)])


def silence_broken(samples: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Float samples of any shape with silence in place of NaN and infinities, and how many there were."""
    finite = samples.isfinite()
    broken = finite.numel() - int(finite.sum())
    return (samples.where(finite, samples.new_zeros(())) if broken else samples), broken


@dataclass(frozen=True)
class AudioFeatures:
    """Audio features of one clip.

    Attributes:
        features: [V, D] float32, one row per 25 fps video frame.
        seconds: length of the recording.
        manner: how they move the mouth.
        active: whether somebody speaks, per row, where the manner listens.
        rest: the row [D] of silence, where the manner rests.
        others: what further people say in the same video.
    """

    features: torch.Tensor
    seconds: float
    manner: Manner = PLAIN
    active: tuple[bool, ...] = ()
    rest: torch.Tensor | None = None
    others: tuple[AudioFeatures, ...] = ()

    @classmethod
    def encode(cls, encoder: AudioEncoder, waveform: torch.Tensor) -> AudioFeatures:
        """Encode a recording (mono [samples] at 16 kHz)."""
        return cls(encode_audio(encoder, waveform), len(waveform) / SAMPLE_RATE)

    def rows(self, count: int) -> torch.Tensor:
        """The first ``count`` rows [count, D]; the last one is repeated where there are fewer."""
        return fit_rows(self.features, count)
