"""Temporal smoothing of the alignment anchors; times in seconds, places in crop pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .align import similarity

STEP = 0.04  # seconds between the measurements that the numbers below are meant for; others are converted
TRUST = 8.0  # crop pixels; a surprise this large is believed at once
MIN_GAIN = 0.14
MEMORY = 0.2  # share of the newest surprise in the mean that tells motion from jitter
RUN_OUT = 0.5  # share of the velocity that is left after a step without a measurement


class SurpriseFilter:
    """Constant-velocity (alpha-beta) filter of a set of points whose gain grows with the surprise.

    With s the distance of measured from predicted points and m that of their running mean, in crop pixels, the gain is
    max(s, 2 m) / ``TRUST``, within ``MIN_GAIN`` and 1: small deviations that cancel out are jitter and are averaged
    away, large or persistent ones are motion and are followed. Result and measurement are (1 - gain) s apart, which
    never exceeds ``TRUST`` / 4 = 2 crop pixels, 0.5 % of the crop's width, whatever the face does.
    """

    def __init__(self) -> None:
        self._position: Tensor | None = None
        self._velocity: Tensor | float = 0.0  # per second
        self._mean_surprise: Tensor | float = 0.0

    def update(self, measured: Tensor, crop_scale: float, passed: float) -> Tensor:
        """Smoothed points [P, 2].

        Args:
            measured: points [P, 2].
            crop_scale: crop pixels per unit of them.
            passed: seconds since the last call.
        """
        if self._position is None:
            self._position = measured
            return measured
        steps = passed / STEP
        predicted = self._position + passed * self._velocity
        surprise = measured - predicted
        self._mean_surprise = torch.lerp(torch.as_tensor(self._mean_surprise), surprise, 1 - (1 - MEMORY) ** steps)
        evidence = max(_length(surprise), 2 * _length(self._mean_surprise)) * crop_scale
        gain = min(max(1 - (1 - MIN_GAIN) ** steps, evidence / TRUST), 1.0)
        self._position = predicted + gain * surprise
        # The velocity gain at which errors of position and velocity die out together without ringing.
        self._velocity = self._velocity + gain**2 / (2 - gain) / passed * surprise
        return self._position

    def coast(self, passed: float) -> Tensor:
        """Points [P, 2] without a measurement, ``passed`` seconds later: the motion runs out."""
        decay = -math.log(RUN_OUT) / STEP
        self._position = self._position + self._velocity * (1 - math.exp(-decay * passed)) / decay
        self._velocity = self._velocity * math.exp(-decay * passed)
        return self._position


def _length(vectors: Tensor) -> float:
    """Mean length of vectors [P, 2]."""
    return float(vectors.norm(dim=-1).mean())


class AnchorFilter:
    """Smooths one face's anchors, causally.

    Place (the anchors' centre) and shape (the anchors about it: size and tilt of the face) have a
    :class:`SurpriseFilter` each, for a face that moves need not change its shape.
    """

    def __init__(self) -> None:
        self._place, self._shape = SurpriseFilter(), SurpriseFilter()

    def update(self, measured: Tensor, passed: float) -> Tensor:
        """Smoothed anchors [3, 2], from measured ones in pixels of the image, ``passed`` seconds after the last."""
        centre = measured.mean(0, keepdim=True)
        crop_scale = float(similarity(measured)[:, 0].norm())
        place = self._place.update(centre, crop_scale, passed)
        return place + self._shape.update(measured - centre, crop_scale, passed)

    def coast(self, passed: float) -> Tensor:
        """Anchors [3, 2] where the face was not found, ``passed`` seconds after the last."""
        return self._place.coast(passed) + self._shape.coast(passed)
