"""Metadata of high dynamic range, from the bytes that decoders give."""

from __future__ import annotations

import struct

import pytest

from lipforcing.media.hdr import Hdr

# Red, green, blue, white as x and y, least and most light; fractions of 50,000 and of 10,000.
CHROMATICITIES = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)


def mastering(primaries: int = 1, luminance: int = 1) -> bytes:
    fractions = [*((value, 50_000) for value in CHROMATICITIES), (50, 10_000), (10_000_000, 10_000)]
    return struct.pack("=22i", *(number for pair in fractions for number in pair), primaries, luminance)


class Frame:
    """A decoded frame with side data."""

    def __init__(self, **side_data: bytes) -> None:
        self.side_data = side_data


def test_both_entries_are_read():
    found = Hdr.of(Frame(MASTERING_DISPLAY_METADATA=mastering(), CONTENT_LIGHT_LEVEL=struct.pack("=2I", 1000, 400)))
    assert found == Hdr("G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", "1000,400")


@pytest.mark.parametrize("flags", [(0, 1), (1, 0)])
def test_half_a_display_is_none(flags):
    assert Hdr.of(Frame(MASTERING_DISPLAY_METADATA=mastering(*flags))) is None
    assert Hdr.of(Frame()) is None
