"""Telling when a mouth is covered: by a hand, a microphone, a cup.

The mesh finds a face all the same and says nothing of it, so the skin is compared with what it was: the colours at the
mesh's points below the nose keep their pattern in any light and at any opening of the mouth, unless something else is
in front of them. Brightness alone does not: laughing and grimaces fold the skin and shade it anew, but lips stay red.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Points of the mesh below the nose, without those inside the lips.
LIPS = (
    0, 11, 12, 15, 16, 17, 37, 38, 39, 40, 41, 42, 61, 62, 72, 73, 74, 76, 77, 84, 85, 86, 89, 90, 91, 96, 146, 179,
    180, 181, 183, 184, 185, 267, 268, 269, 270, 271, 272, 291, 292, 302, 303, 304, 306, 307, 314, 315, 316, 319, 320,
    321, 325, 375, 403, 404, 405, 407, 408, 409,
)  # fmt: skip
AROUND = (
    18, 43, 57, 83, 92, 106, 164, 165, 167, 182, 186, 194, 202, 204, 206, 211, 216, 273, 287, 313, 322, 335, 391, 393,
    406, 410, 418, 422, 424, 426, 431, 436,
)  # fmt: skip
CHIN = (
    32, 97, 135, 136, 140, 148, 149, 150, 152, 169, 170, 171, 175, 176, 199, 200, 201, 207, 208, 210, 212, 214, 262,
    326, 364, 365, 369, 377, 378, 379, 394, 395, 396, 400, 421, 427, 428, 430, 432, 434,
)  # fmt: skip
LOWER_FACE = LIPS + AROUND + CHIN

COVERED = (0.66, 0.72)  # likeness below which a mouth is covered, and from which on one that was is seen again
CERTAIN = 0.9  # likeness from which on all is learnt; the less there is the slower, down to nothing at ``COVERED``
MEMORY = 0.5  # seconds over which what is remembered fades
WITHOUT_LIPS = (0.74, 0.80)  # the same where lips have lost their red
SEEN = (-1.0, -1.0)  # where they have kept it
RED = 0.02  # redness of lips that can be told from noise
LOST, KEPT = 0.3, 0.6  # share of it below which it is lost, and above which no hand has it, but a wide open mouth has
COLOURLESS = 0.005  # deviation of chromaticities below which they are noise: black and white
NO_LIPS = 0.5  # contrast of the lips below which what is remembered may be what covered them
LIPS_APPEAR = 0.3  # by so much more contrast than that: it was
PATIENCE = 10.0  # seconds after which what was taken for a cover counts as how the face looks now


class CoverGuard:
    """Watches one mouth; a new object for every person.

    A mouth that is covered when it is first seen is not known to be; when its lips appear, they are believed. What
    covers for longer than ``PATIENCE`` is believed, too: it may as well be a light that has changed.
    """

    def __init__(self) -> None:
        self.covered = False
        self._memory: Tensor | None = None
        self._time = 0.0  # seconds since it was covered

    def update(self, texture: Tensor, passed: float) -> bool:
        """Whether the mouth is covered.

        Args:
            texture: float [P, 3] RGB in [0, 1], of the points of the mesh (``face_mesh.texture``).
            passed: seconds since the last one.
        """
        memory = self._memory
        if memory is None:
            self._memory = texture
            return False
        alike = likeness(texture, memory)
        self.covered = alike < limits(texture, memory)[self.covered]
        self._time = self._time + passed if self.covered else 0.0
        before = lip_contrast(memory)
        lips_appear = before < NO_LIPS and lip_contrast(texture) > before + LIPS_APPEAR
        if self.covered and (lips_appear or self._time > PATIENCE):
            self._memory, self.covered, self._time = texture, False, 0.0
        elif not self.covered:
            share = min(max((alike - COVERED[0]) / (CERTAIN - COVERED[0]), 0.0), 1.0)
            self._memory = torch.lerp(texture, memory, math.exp(-share * passed / MEMORY))
        return self.covered


def limits(texture: Tensor, before: Tensor) -> tuple[float, float]:
    """The likeness below which a mouth is covered, and from which on it is seen again; lips have their say."""
    red = redness(before)
    if red <= RED:
        return COVERED  # lips as pale as this say nothing
    kept = redness(texture) / red
    return SEEN if kept > KEPT else WITHOUT_LIPS if kept < LOST else COVERED


def likeness(texture: Tensor, before: Tensor) -> float:
    """How much a lower face [P, 3] looks like one before: at most 1, whatever the light's strength and tint.

    The mean of two correlations, of the patterns of colours and of chromaticities; black and white has the first only.
    """
    now, then = (colours[list(LOWER_FACE)] for colours in (texture, before))
    patterns = [(now, then)]
    tints = chromaticity(now), chromaticity(then)
    if tints[1].std(0).norm() > COLOURLESS:
        patterns.append(tints)
    return sum(correlation(*pair) for pair in patterns) / len(patterns)


def chromaticity(colours: Tensor) -> Tensor:
    """Red and blue against green as shares of all light, [P, 2]."""
    red, green, blue = colours.unbind(-1)
    return torch.stack((red - green, blue - green), -1) / colours.sum(-1, keepdim=True).clamp(min=0.1)


def correlation(now: Tensor, then: Tensor) -> float:
    """Of two patterns [P, C]."""
    now, then = now - now.mean(0), then - then.mean(0)
    return float((now * then).sum() / (now.norm() * then.norm()).clamp(min=1e-6))


def redness(texture: Tensor) -> float:
    """How much redder lips are than the skin around them, as shares of all light."""
    red, _ = chromaticity(texture).unbind(-1)
    return float(red[list(LIPS)].mean() - red[list(AROUND)].mean())


def lip_contrast(texture: Tensor) -> float:
    """How much darker lips are than the skin around them, in standard deviations of both."""
    grey = texture.mean(-1)
    lips, skin = grey[list(LIPS)], grey[list(AROUND)]
    return float((skin.mean() - lips.mean()) / torch.cat((lips, skin)).std().clamp(min=1e-3))
