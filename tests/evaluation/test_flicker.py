"""Change from frame to frame beyond the reference's."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.flicker import Flicker

from .pictures import MOUTH, brighter_mouth, noise


def test_alternating_brightness_is_flicker_and_motion_of_the_reference_is_not():
    still = noise(1).expand(6, -1, -1, -1).clone()
    result = still.clone()
    result[1::2] = brighter_mouth(result[1::2], 6)
    flicker = Flicker()
    flicker.update(result[:3], still[:3])
    flicker.update(result[3:], still[3:])
    assert flicker.levels == pytest.approx(6, abs=0.01)
    moving, equal = noise(3), Flicker()
    equal.update(moving, moving)
    assert equal.levels == 0 and Flicker().levels is None


def test_a_mouth_that_moves_is_none():
    reference = noise(1).expand(4, -1, -1, -1)
    lips = torch.zeros_like(MOUTH)
    lips[150:210, 90:166] = True
    flicker = Flicker()
    flicker.update(torch.where(lips[..., None], noise(4, seed=3), reference), reference)
    assert flicker.levels == 0


def test_frames_that_do_not_follow_each_other_are_not_compared():
    flicker = Flicker()
    dark, bright = torch.zeros(2, 1, 256, 256, 3, dtype=torch.uint8)
    bright += 100
    flicker.update(dark, dark)
    flicker.interrupt()
    flicker.update(bright, dark)
    assert flicker.levels is None
    flicker.update(dark, dark)
    assert flicker.levels == pytest.approx(100, abs=0.1)
