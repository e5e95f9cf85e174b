from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from lipforcing.media import VideoReader, probe
from lipforcing.media.orientation import Orientation

from .clips import smooth

TURNS = [Orientation(*flags) for flags in itertools.product((False, True), repeat=3)]


@pytest.mark.parametrize("turn", TURNS)
def test_stored_and_upright_are_inverse(turn):
    stored = np.arange(5 * 7).reshape(5, 7)
    upright = turn.upright(stored)
    assert upright.shape[::-1] == turn.size(7, 5)
    np.testing.assert_array_equal(turn.stored(upright), stored)


@pytest.mark.parametrize("turn", TURNS)
def test_a_rectangle_is_found_as_stored(turn):
    stored = np.arange(5 * 7).reshape(5, 7)
    upright = turn.upright(stored)
    top, left, height, width = 1, 2, 3, 2
    row, column = turn.stored_corner(top, left, (height, width), upright.shape)
    width_stored, height_stored = turn.size(width, height)
    rectangle = stored[row : row + height_stored, column : column + width_stored]
    np.testing.assert_array_equal(turn.upright(rectangle), upright[top : top + height, left : left + width])


# EXIF orientation and how a viewer shows the stored picture.
SHOWN = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: np.rot90(image, 2),
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).transpose(1, 0, 2),
    8: lambda image: np.rot90(image, 1),
}


@pytest.mark.parametrize("number", SHOWN)
def test_photos_with_exif_come_upright(tmp_path, number):
    """Every photo of a phone carries EXIF, side data that PyAV before 19 has no name for."""
    image, exif = Image.fromarray(smooth(48, 32)), Image.Exif()
    exif[0x0112], exif[0x010F] = number, "a phone"
    plain, turned = tmp_path / "plain.jpg", tmp_path / "turned.jpg"
    image.save(plain, quality=95)
    image.save(turned, quality=95, exif=exif)
    stored = next(VideoReader(plain).frames()).image.numpy()
    assert np.abs(stored.astype(int) - smooth(48, 32)).mean() < 2
    expected = SHOWN[number](stored)
    info = probe(turned)
    assert (info.height, info.width) == expected.shape[:2]
    np.testing.assert_array_equal(next(VideoReader(turned).frames()).image.numpy(), expected)
