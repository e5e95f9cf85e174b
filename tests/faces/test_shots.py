"""Cuts are found, motion and light are not mistaken for cuts."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lipforcing.faces.shots import THUMBNAIL, CutDetector
from lipforcing.media import ImagePicture


def scene(seed: int) -> torch.Tensor:
    """A smooth random picture, float [200, 320, 3] in 0..255."""
    coarse = torch.rand(1, 3, 7, 10, generator=torch.Generator().manual_seed(seed)) * 255
    return F.interpolate(coarse, size=(200, 320), mode="bicubic").clamp(0, 255)[0].permute(1, 2, 0)


def cuts_of(*pictures: torch.Tensor) -> list[bool]:
    """What is said of pictures float [H, W, 3] in 0..255."""
    cuts = CutDetector()
    frames = [ImagePicture(picture.clamp(0, 255).to(torch.uint8)) for picture in pictures]
    return [cuts(frame.thumbnail(THUMBNAIL, THUMBNAIL)) for frame in frames]


def test_a_shot_starts_at_the_first_frame_and_at_every_cut():
    pictures = [*[scene(0)] * 4, *[scene(1)] * 6, *[scene(2)] * 2]
    assert cuts_of(*pictures) == [True, *[False] * 3, True, *[False] * 5, True, False]


def test_noise_motion_and_light_are_no_cuts():
    torch.manual_seed(0)
    still = scene(3)
    moving = [still.roll(8 * i, dims=1) for i in range(8)]
    noisy = [moving[-1] + torch.randn_like(still) * 20 for _ in range(4)]
    flash = [moving[-1], moving[-1] * 0.8 + 50, moving[-1], moving[-1] * 0.5]
    assert not any(cuts_of(*moving, *noisy, *flash)[1:])


def test_a_frozen_dark_picture_with_noise_is_one_shot():
    torch.manual_seed(0)
    dark = [torch.full((200, 320, 3), 10.0) + torch.randn(200, 320, 3) * 6 for _ in range(6)]
    assert not any(cuts_of(*dark)[1:])


def test_a_change_of_exposure_in_a_calm_shot_is_no_cut():
    calm = [scene(3)] * 10
    assert not any(cuts_of(*calm, scene(3) * 0.3, *calm)[1:])


def test_a_picture_in_turmoil_does_not_cut_at_every_frame():
    pan = [scene(3).roll(110 * i, dims=1) for i in range(12)]
    assert sum(cuts_of(*pan)[1:]) <= 2
