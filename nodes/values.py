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
