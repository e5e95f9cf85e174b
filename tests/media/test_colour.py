from __future__ import annotations

import pytest
import torch

from lipforcing.media.colour import Colour

# Luma of red, green and blue by H.273 matrix, from the standards.
LUMA = {
    1: (0.2126, 0.7152, 0.0722),
    4: (0.30, 0.59, 0.11),
    5: (0.299, 0.587, 0.114),
    6: (0.299, 0.587, 0.114),
    7: (0.212, 0.701, 0.087),
    9: (0.2627, 0.678, 0.0593),
}


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("level_range", [1, 2])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_conversion_is_the_standards_and_its_own_inverse(matrix, level_range, bits):
    colour, unit = Colour(matrix, level_range), 2 ** (bits - 8)
    rgb = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    luma = sum(share * part for share, part in zip(LUMA[matrix], rgb))
    blue = (rgb[2] - luma) / (2 * (1 - LUMA[matrix][2]))
    red = (rgb[0] - luma) / (2 * (1 - LUMA[matrix][0]))
    if level_range == 1:
        expected = [(16 + 219 * luma) * unit, (128 + 224 * blue) * unit, (128 + 224 * red) * unit]
    else:
        expected = [luma * (2**bits - 1), *(part * (2**bits - 1) + 2 ** (bits - 1) for part in (blue, red))]
    codes = colour.from_rgb(rgb, bits)
    torch.testing.assert_close(codes, torch.stack(expected), atol=2e-3 * unit, rtol=0)
    torch.testing.assert_close(colour.to_rgb(*codes, bits), rgb, atol=1e-5, rtol=0)


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
