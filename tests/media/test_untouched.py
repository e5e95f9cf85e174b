"""What counts as changed outside of a rectangle, in planes of every kind and however they are turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lipforcing.media.picture import DecodedPicture, ImagePicture, Patch
from lipforcing.media.pixels import copied, samples
from lipforcing.media.untouched import changed_outside

from .clips import BT601_LIMITED, noise_frame
from .test_orientation import TURNS

FORMATS = ("yuv420p", "yuv422p10le", "nv12", "p010le", "rgb24", "gray", "yuva444p")


def patch(top: int, left: int, height: int, width: int) -> Patch:
    return Patch(top, left, torch.rand(3, height, width), torch.ones(1, height, width))


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_paste_changes_nothing_outside_and_much_inside(pixel_format, turn):
    source = DecodedPicture(noise_frame(pixel_format, 45, 27), BT601_LIMITED, turn)
    mine = patch(5, 7, 9, 11)
    pasted = source.patched([mine])
    assert changed_outside(source, pasted, [mine.rectangle]) == 0
    assert changed_outside(source, pasted, []) > 0.9 * 9 * 11
    assert changed_outside(source, pasted, [(5, 7, 9, 9)]) >= 9  # two columns of it lie outside


@pytest.mark.parametrize("number, at", [(0, (20, 40)), (1, (0, 0)), (2, (13, 22))])
def test_one_sample_of_any_component_is_seen(number, at):
    source = DecodedPicture(noise_frame("yuv420p", 46, 28), BT601_LIMITED)
    frame = copied(source.frame)
    samples(frame, number)[at] ^= 1
    assert changed_outside(source, replace(source, frame=frame), [(4, 4, 8, 8)]) == 1


def test_a_chroma_sample_belongs_to_all_pixels_of_its_block():
    source = DecodedPicture(noise_frame("yuv420p", 46, 28), BT601_LIMITED)
    frame = copied(source.frame)
    samples(frame, 1)[2, 2] ^= 1  # pixels 4 and 5 each way
    changed = replace(source, frame=frame)
    assert changed_outside(source, changed, [(5, 5, 1, 1)]) == 0
    assert changed_outside(source, changed, [(6, 5, 1, 1)]) == 1


def test_images_in_memory():
    source = ImagePicture(torch.rand(20, 30, 3))
    mine = patch(3, 4, 5, 6)
    assert changed_outside(source, source.patched([mine]), [mine.rectangle]) == 0
    assert changed_outside(source, source.patched([mine]), [(0, 0, 3, 30)]) == 5 * 6 * 3
    assert changed_outside(source, source, []) == 0
    assert np.isscalar(changed_outside(source, ImagePicture(1 - source.image), []))
