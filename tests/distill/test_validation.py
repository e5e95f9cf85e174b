"""Figures and videos of a validation."""

from __future__ import annotations

import pytest
import torch

from lipforcing.distill.validation import gradient_energy, levels, means, mouth_figures, write_video
from lipforcing.evaluation.sharpness import gradient_energy as energy_of_a_picture
from lipforcing.faces.mask import pixel_mask
from lipforcing.media import AudioSource, VideoReader


def clip(seed=1):
    return torch.randint(40, 200, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_an_error_inside_the_mask_is_one_of_the_mouth():
    truth, mask = clip(), pixel_mask(32, 32).bool()
    shown = truth.clone()
    shown[:, mask] += 5
    found = mouth_figures(shown, truth)
    assert found["mouth_psnr"] == pytest.approx(20 * torch.log10(torch.tensor(255 / 5)).item(), abs=1e-3)
    assert found["rest_psnr"] == float("inf")
    flat = truth.clone()
    flat[:] = 100
    assert mouth_figures(flat, truth)["mouth_gradients"] == 0
    half = (100 + (truth.float() - 100) / 2).to(torch.uint8)
    assert mouth_figures(half, truth)["mouth_gradients"] == pytest.approx(0.25, abs=0.01)


def test_gradients_are_those_of_the_evaluation():
    truth, mask = clip().float(), pixel_mask(32, 32).bool()
    grey = truth @ torch.tensor((0.299, 0.587, 0.114))
    wanted = sum(energy_of_a_picture(picture)[mask].sum() for picture in grey)
    torch.testing.assert_close(gradient_energy(truth, mask), wanted)


def test_levels_are_those_of_pictures():
    pictures = clip()
    assert torch.equal(levels(pictures.movedim(-1, 0) / 127.5 - 1), pictures)


def test_a_video_shows_clips_side_by_side(tmp_path):
    left, right = torch.full_like(clip(), 60), torch.full_like(clip(), 180)
    path = tmp_path / "deep" / "shown.mp4"
    write_video(path, left, right, sound=torch.sin(torch.arange(1920) / 5))
    with VideoReader(path) as reader:
        frames = list(reader.frames())
    assert len(frames) == 3 and frames[0].image.shape == (32, 64, 3)
    assert (frames[0].image[:, :28].float() - 60).abs().max() < 12 > (frames[0].image[:, 36:].float() - 180).abs().max()
    assert AudioSource(path).mono16k().abs().max() > 0.5


def test_means():
    assert means([{"a": 1.0, "b": 0.0}, {"a": 3.0, "b": 1.0}]) == {"a": 2.0, "b": 0.5}
