from __future__ import annotations

import numpy as np
import pytest

from lipforcing.media.colour import Colour, FromRgb, ToRgb

from .clips import smooth


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("level_range, cast", [(1, 0.1), (2, 0.8)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_many_generations_do_not_drift(matrix, level_range, cast, pixel_format):
    """swscale's fast conversion darkens 4:2:0 by a level or more each time."""
    colour = Colour(matrix, level_range, matrix, matrix)
    original = image = smooth(96, 64)
    to_rgb, from_rgb = ToRgb(colour), FromRgb(pixel_format, colour)
    for _ in range(6):
        image = to_rgb(from_rgb(image))
    difference = image.astype(float) - original
    assert np.abs(difference.mean((0, 1))).max() < cast
    assert np.abs(difference).mean() < 2.2


@pytest.mark.parametrize("width", [33, 62, 66, 98])
def test_right_edge_is_as_good_as_the_middle(width):
    """Vectorised conversion works on blocks of columns; the last ones must not be computed from padding."""
    colour = Colour(1, 1, 1, 1)
    image = smooth(width, 18)
    for _ in range(3):
        back = ToRgb(colour)(FromRgb("yuv444p", colour)(image))
        assert np.abs(back.astype(int) - image).max() <= 3


@pytest.mark.parametrize(
    "colour, size, expected",
    [
        (Colour(), (1920, 1080), (1, 1)),
        (Colour(), (1080, 1920), (1, 1)),
        (Colour(), (640, 480), (6, 1)),
        (Colour(), (480, 854), (6, 1)),
        (Colour(0, 2), (1920, 1080), (1, 2)),
        (Colour(9, 0), (64, 64), (9, 1)),
    ],
)
def test_what_a_file_leaves_open_is_filled_in(colour, size, expected):
    resolved = colour.resolved(*size)
    assert (resolved.matrix, resolved.range) == expected
