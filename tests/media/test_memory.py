"""Frames in memory."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.media import DurationPolicy, MemoryReader, extended_frames


def test_reads_like_a_file():
    images = torch.rand(5, 4, 6, 4, generator=torch.Generator().manual_seed(0))
    reader = MemoryReader(images, 30)
    frames = list(reader)
    assert [frame.time for frame in frames] == pytest.approx([n / 30 for n in range(5)])
    assert reader.info.frame_count == 5 and (reader.info.width, reader.info.height) == (6, 4)
    assert torch.equal(torch.stack([f.image for f in frames]), (images[..., :3] * 255).round().to(torch.uint8))


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_is_spread_over_the_colours(channels):
    images = torch.rand(2, 4, 6, channels, generator=torch.Generator().manual_seed(0))
    for image, frame in zip(images, MemoryReader(images, 25)):
        assert frame.image.shape == (4, 6, 3)
        assert torch.equal(frame.image[..., 2], (image[..., 0] * 255).round().to(torch.uint8))


def test_is_extended_like_a_file():
    images = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 2, 2, 3)
    reader = MemoryReader(images, Fraction(25))
    plan = DurationPolicy("audio", "pingpong").plan(9 / 25, reader.info.frame_rate, reader.info.duration, 4)
    assert [int(frame.image[0, 0, 0]) for frame in extended_frames(reader, plan)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]


@pytest.mark.parametrize(("count", "rate", "words"), [(0, 25, "empty"), (1, 0, "not positive")])
def test_bad_batches_are_refused(count, rate, words):
    with pytest.raises(InputError, match=words):
        MemoryReader(torch.zeros(count, 2, 2, 3), rate)
