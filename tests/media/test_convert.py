"""Between samples and RGB: what a flat colour means, and that nothing shifts on the way and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipforcing.media.colour import Colour
from lipforcing.media.convert import Raster, arranged, blend, frame_of, image_of, rgb_of, thumbnail_of
from lipforcing.media.orientation import UPRIGHT
from lipforcing.media.pixels import layout_of, samples

from .clips import noise_frame, smooth

HD, FULL_RANGE = Colour(1, 1, 1, 1), Colour(6, 2, 6, 6)


def raster(pixel_format: str, width: int = 32, height: int = 24, colour: Colour = HD) -> Raster:
    return Raster(pixel_format, width, height, colour, layout_of(pixel_format).chroma(colour.siting))


@pytest.mark.parametrize(
    ("colour", "rgb", "codes"),
    [
        (HD, (1, 1, 1), (235, 128, 128)),
        (HD, (0, 0, 0), (16, 128, 128)),
        (HD, (1, 0, 0), (63, 102, 240)),  # BT.709 of the standard's tables
        (FULL_RANGE, (0, 0, 1), (29, 255, 107)),
    ],
)
def test_colours_have_the_codes_of_their_standard(colour, rgb, codes):
    picture = torch.tensor(rgb, dtype=torch.float32)[:, None, None].expand(3, 24, 32)
    frame = frame_of(picture, raster("yuv420p", colour=colour))
    assert [int(np.median(samples(frame, number))) for number in range(3)] == pytest.approx(list(codes), abs=1)
    torch.testing.assert_close(rgb_of(frame, colour, 3, 5, 7, 9), picture[:, :7, :9], atol=0.012, rtol=0)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p", "gbrp", "rgb24"])
def test_pictures_come_back(pixel_format):
    image = smooth(128, 96)
    frame = frame_of(torch.from_numpy(image).permute(2, 0, 1), raster(pixel_format, 128, 96))
    assert np.abs(image_of(frame, HD).astype(int) - image).max() <= 5  # chroma goes on as at the border
    part = rgb_of(frame, HD, 4, 6, 10, 12)
    torch.testing.assert_close(part, rgb_of(frame, HD, 0, 0, 96, 128)[:, 4:14, 6:18])


def test_a_thumbnail_is_the_picture_made_small():
    image = smooth(64, 48)
    frame = frame_of(torch.from_numpy(image).permute(2, 0, 1), raster("yuv420p", 64, 48))
    small = thumbnail_of(frame, HD, 12, 16)
    assert small.shape == (12, 16, 3)
    assert np.abs(small.astype(int) - image.reshape(12, 4, 16, 4, 3).mean((1, 3))).max() <= 4


def test_blending_changes_what_it_lies_over_and_nothing_else():
    frame = noise_frame("yuv420p", 32, 24)
    before = [samples(frame, number).copy() for number in range(3)]
    opacity = torch.zeros(1, 8, 8)
    opacity[:, 2:6, 2:6] = 1
    blend(frame, HD, 8, 16, torch.ones(3, 8, 8), opacity)
    changed = samples(frame, 0) != before[0]
    assert (samples(frame, 0)[10:14, 18:22] == 235).all() and not changed[:10].any() and not changed[:, 22:].any()
    assert (samples(frame, 1)[5:7, 10] == 128).all()  # column 9 lies on the edge
    grown = samples(frame, 1) != before[1]
    assert grown[5:7, 9:11].all() and grown.sum() == 4


def test_a_frame_that_is_right_is_handed_on_and_others_are_moved():
    frame = noise_frame("yuv420p", 32, 24)
    assert arranged(frame, HD, UPRIGHT, raster("yuv420p")) is frame
    larger = arranged(frame, HD, UPRIGHT, raster("yuv420p", 34, 26))
    assert (samples(larger, 0)[:24, :32] == samples(frame, 0)).all()
    assert (samples(larger, 0)[24:, :32] == samples(frame, 0)[23]).all()
