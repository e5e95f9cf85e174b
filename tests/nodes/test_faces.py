"""What the preview of a track shows."""

from __future__ import annotations

import importlib

import pytest
import torch

from lipforcing.faces.align import box_matrix, full_frame_matrix
from lipforcing.faces.follow import Seen, Sighting
from lipforcing.media import ImagePicture

from .stand_in import LOADED_AS, load_pack

HEIGHT, WIDTH = 540, 960


@pytest.fixture(scope="module")
def faces():
    load_pack()
    return importlib.import_module(f"{LOADED_AS}.nodes.faces")


@pytest.fixture(scope="module")
def picture():
    return ImagePicture(torch.full((HEIGHT, WIDTH, 3), 100, dtype=torch.uint8))


def sighting(matrix) -> Sighting:
    return Sighting(0, 0, matrix, 1.0)


def test_a_small_face_fills_the_preview(faces, picture):
    """Of 60 x 80 pixels in 960 x 540: a tint of a few pixels could not be judged."""
    shown = faces._tinted(picture, Seen(True, (sighting(box_matrix(700, 100, 760, 180)),)))
    assert shown.shape == (384, 384, 3)
    green = shown[..., 1] - shown[..., 0] > 0.1
    assert green.float().mean() > 0.1 and not green[:100].any()


@pytest.mark.parametrize("box", [(2, 3, 62, 83), (890, 450, 958, 536)])
def test_at_the_border_the_preview_stays_in_the_picture(faces, picture, box):
    left, top, width, height = faces.surroundings([box_matrix(*box)], picture)
    assert left >= 0 and top >= 0 and left + width <= WIDTH and top + height <= HEIGHT
    assert left <= box[0] and top <= box[1] and left + width >= box[2] and top + height >= box[3]
    assert width == height < 200


def test_all_faces_are_in_the_preview_and_without_one_the_whole_picture(faces, picture):
    both = [box_matrix(100, 100, 160, 180), box_matrix(600, 200, 660, 280)]
    left, _, width, height = faces.surroundings(both, picture)
    assert left <= 100 and left + width >= 660 and height <= HEIGHT
    assert faces.surroundings([], picture) == (0, 0, WIDTH, HEIGHT)
    assert faces.surroundings([full_frame_matrix(HEIGHT, WIDTH)], picture) == (0, 0, WIDTH, HEIGHT)
    nobody = faces._tinted(picture, Seen(True))
    assert not nobody[0].any() and torch.allclose(nobody[192], torch.full((384, 3), 100 / 255), atol=1e-3)
