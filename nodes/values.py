"""Between the values on the host's sockets and those of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lipforcing.errors import InputError

if TYPE_CHECKING:
    from ..lipforcing.media import Audio


def audio_of(audio: dict | None) -> Audio:
    """AUDIO -> the engine's: waveform [1, channels, samples] of a dict -> [channels, samples].

    Raises:
        InputError: None (the host's answer for a video without sound), several recordings at once, no samples.
    """
    from ..lipforcing.media import Audio

    if audio is None:
        raise InputError("The audio input is empty: its source has no sound; connect a recording of speech.")
    waveform = audio["waveform"]
    if waveform.shape[0] != 1:
        raise InputError(f"The audio input holds {waveform.shape[0]} recordings at once; connect a single one.")
    return Audio(waveform[0].float().cpu(), round(audio["sample_rate"]))  # other packs give it as 44100.0


def part_of(audio: Audio, start: float = 0.0, limit: float | None = None) -> Audio:
    """At most `limit` seconds of a recording from `start` seconds on; as long as it is where both are left out.

    Raises:
        InputError: it ends before.
    """
    from ..lipforcing.media import Audio

    first = round(start * audio.sample_rate)
    end = None if limit is None else first + round(limit * audio.sample_rate)
    if first >= audio.waveform.shape[1]:
        raise InputError(
            f"The audio lasts {audio.seconds:.2f} s, so nothing is left of it from {start:.2f} s on; choose an earlier "
            "start."
        )
    return Audio(audio.waveform[:, first:end], audio.sample_rate)
