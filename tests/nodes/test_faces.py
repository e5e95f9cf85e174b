"""Frames as the composite gives them out."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
import torch

from .stand_in import LOADED_AS, load_pack


@pytest.fixture(scope="module")
def as_image():
    load_pack()
    return importlib.import_module(f"{LOADED_AS}.nodes.faces")._as_image


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_keep_their_own_pixels_where_nothing_was_pasted(as_image, channels):
    source = torch.rand(2, 6, 5, channels, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(6, 5)
    mask[3:] = 0.5
    picture = torch.full((6, 5, 3), 51, dtype=torch.uint8)
    image = as_image(picture, mask, source, SimpleNamespace(index=1))
    expected = source[1, :3, :, :3].expand(3, 5, 3) if channels == 1 else source[1, :3, :, :3]
    assert torch.equal(image[:3], expected) and torch.equal(image[3:], torch.full((3, 5, 3), 0.2))


def test_frames_of_a_video_are_what_was_decoded(as_image):
    picture = torch.arange(90, dtype=torch.uint8).view(6, 5, 3)
    assert torch.equal(as_image(picture, torch.zeros(6, 5), object(), None), picture.float() / 255)
