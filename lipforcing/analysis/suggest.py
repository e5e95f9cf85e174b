"""What the figures suggest: where to guide, and where the second of two steps should land."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .probes import GUIDED, PLAIN

RESAMPLES = 1000
WINDOW_SHARE = 0.75  # of the largest gain of sync

Factorial = Mapping[tuple[float, float], np.ndarray]
"""Means over clips by landing step [landings], by guidance of the first and the second step."""


@dataclass(frozen=True)
class Suggestion:
    """Steps of the grid, each with its 95 % interval over resampled clips.

    Attributes:
        window: first and last step at which guidance gains most of what it gains anywhere; None where its mean gain of
            sync is nowhere positive.
        window_low, window_high: their intervals.
        landing: of the second step, which alone is guided.
        landing_interval: its interval.
    """

    window: tuple[int, int] | None
    window_low: tuple[int, int] | None
    window_high: tuple[int, int] | None
    landing: int
    landing_interval: tuple[int, int]


def landing_step(steps: Sequence[int], sync: Factorial, error: Factorial) -> int:
    """Where an unguided and then a guided step have most sync for their error.

    Both as shares of the range of the whole factorial.
    """

    def share(figures: Factorial) -> np.ndarray:
        everything = np.stack([*figures.values()])
        return (figures[PLAIN, GUIDED] - everything.min()) / np.ptp(everything)

    return steps[int(np.argmax(share(sync) - share(error)))]


def guidance_window(steps: Sequence[int], sync: Factorial) -> tuple[int, int] | None:
    """Steps around the largest gain of sync by guidance of the second step, as long as it is three quarters of it."""
    gain = sync[PLAIN, GUIDED] - sync[PLAIN, PLAIN]
    best = int(np.argmax(gain))
    if gain[best] <= 0:
        return None
    first = last = best
    while first > 0 and gain[first - 1] >= WINDOW_SHARE * gain[best]:
        first -= 1
    while last < len(gain) - 1 and gain[last + 1] >= WINDOW_SHARE * gain[best]:
        last += 1
    return steps[first], steps[last]


def suggest(steps: Sequence[int], sync: Factorial, error: Factorial) -> Suggestion:
    """From figures [clips, landings]; clips are resampled for the intervals, always the same way."""
    clips = len(sync[PLAIN, PLAIN])
    rng = np.random.default_rng(0)

    def mean(figures: Factorial, rows: np.ndarray) -> Factorial:
        return {key: values[rows].mean(0) for key, values in figures.items()}

    everyone = np.arange(clips)
    windows, landings = [], []
    for rows in rng.integers(clips, size=(RESAMPLES, clips)):
        landings.append(landing_step(steps, mean(sync, rows), mean(error, rows)))
        if (found := guidance_window(steps, mean(sync, rows))) is not None:
            windows.append(found)
    window = guidance_window(steps, mean(sync, everyone))
    ends = [interval([ends[i] for ends in windows]) for i in (0, 1)] if window else [None, None]
    return Suggestion(
        window, *ends, landing_step(steps, mean(sync, everyone), mean(error, everyone)), interval(landings)
    )


def interval(values: Sequence[int]) -> tuple[int, int]:
    """The middle 95 %."""
    low, high = np.quantile(values, (0.025, 0.975), method="nearest")
    return int(low), int(high)
