"""Temporal smoothing of the alignment anchors."""

from __future__ import annotations

import torch

from .align import similarity

TRUST = 24.0  # crop pixels; a surprise this large is believed at once
MIN_GAIN = 0.14
MEMORY = 0.2  # share of the newest surprise in the mean that tells motion from jitter


class SurpriseFilter:
    """Constant-velocity (alpha-beta) filter of a set of points whose gain grows with the surprise.

    With s the distance of measured from predicted points and m that of their running mean, in crop pixels, the gain is
    max(s, 2 m) / ``TRUST``, within ``MIN_GAIN`` and 1: small deviations that cancel out are jitter and are averaged
    away, large or persistent ones are motion and are followed. Result and measurement are (1 - gain) s apart, which
    never exceeds ``TRUST`` / 4 = 6 crop pixels, 1.4 % of the crop's width, whatever the face does; under constant
    velocity, from standing still, it falls below 1 within 20 frames and goes to zero.
    """

    def __init__(self) -> None:
        self._position: torch.Tensor | None = None
        self._velocity: torch.Tensor | float = 0.0
        self._mean_surprise: torch.Tensor | float = 0.0

    def update(self, measured: torch.Tensor, crop_scale: float) -> torch.Tensor:
        """Points [P, 2] measured in the next frame, and crop pixels per unit of them, to smoothed points [P, 2]."""
        if self._position is None:
            self._position = measured
            return measured
        predicted = self._position + self._velocity
        surprise = measured - predicted
        self._mean_surprise = (1 - MEMORY) * self._mean_surprise + MEMORY * surprise
        evidence = max(_length(surprise), 2 * _length(self._mean_surprise)) * crop_scale
        gain = min(max(MIN_GAIN, evidence / TRUST), 1.0)
        self._position = predicted + gain * surprise
        # The velocity gain at which errors of position and velocity die out together without ringing.
        self._velocity = self._velocity + gain**2 / (2 - gain) * surprise
        return self._position

    def coast(self) -> torch.Tensor:
        """Points [P, 2] of a frame without a measurement: the motion runs out."""
        self._velocity = self._velocity * 0.5
        self._position = self._position + self._velocity
        return self._position


def _length(vectors: torch.Tensor) -> float:
    """Mean length of vectors [P, 2]."""
    return float(vectors.norm(dim=-1).mean())


class AnchorFilter:
    """Smooths one face's anchors, causally and the same whatever the batching.

    Place (the anchors' centre) and shape (the anchors about it: size and tilt of the face) have a
    :class:`SurpriseFilter` each, for a face that moves need not change its shape.
    """

    def __init__(self) -> None:
        self._place, self._shape = SurpriseFilter(), SurpriseFilter()

    def update(self, measured: torch.Tensor) -> torch.Tensor:
        """Anchors [3, 2] measured in the next frame, in pixels of the image, to smoothed ones [3, 2]."""
        centre = measured.mean(0, keepdim=True)
        crop_scale = float(similarity(measured)[:, 0].norm())
        return self._place.update(centre, crop_scale) + self._shape.update(measured - centre, crop_scale)

    def coast(self) -> torch.Tensor:
        """Anchors [3, 2] of a frame in which the face was not found."""
        return self._place.coast() + self._shape.coast()
