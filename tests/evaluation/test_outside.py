"""What changed outside of the mouth."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.outside import CLEAR, Outside, Settings, reencode, settings_of
from lipforcing.faces.align import box_matrix, full_frame_matrix
from lipforcing.faces.mask import blend_mask
from lipforcing.media import ImagePicture, VideoReader

from .drawn import write
from .pictures import noise


def compared(result: torch.Tensor, reference: torch.Tensor, matrix: torch.Tensor, margin: float = CLEAR) -> Outside:
    outside = Outside(margin)
    outside.update(ImagePicture(result), ImagePicture(reference), [matrix])
    return outside


def test_only_what_lies_clear_of_the_blend_counts():
    (picture,) = noise(1)
    made = torch.where((blend_mask() > 0)[..., None], 255 - picture, picture)
    whole = full_frame_matrix(256, 256)
    found = compared(made, picture, whole)
    assert found.share == 0 and found.psnr == 100 and found.samples > 3 * 256 * 60
    assert compared(made, picture, full_frame_matrix(256, 256) + torch.tensor([[0, 0, 0], [0, 0, 40.0]])).share > 0.01
    near = (torch.nn.functional.max_pool2d((blend_mask() > 0).float()[None], 9, 1, 4)[0] > 0)[..., None]
    assert compared(torch.where(near, picture + 9, picture), picture, whole).share == 0
    assert compared(torch.where(near, picture + 9, picture), picture, whole, margin=2).share > 0


def test_shares_and_decibels_are_those_of_known_errors():
    picture = torch.full((100, 200, 3), 90, dtype=torch.uint8)
    made = picture.clone()
    made[:, 150:] += 10
    matrix = box_matrix(10, 10, 50, 60)
    found = compared(made, picture, matrix)
    covered = 20_000 - found.samples / 3
    assert 500 < covered < 4000 and found.share == pytest.approx(5000 / (20_000 - covered))
    assert found.psnr == pytest.approx(10 * torch.log10(torch.tensor(255**2 / (100 * found.share))).item(), abs=1e-3)
    assert Outside().share is None and Outside().psnr is None


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"quality": 21.0}, Settings("h264", 21)),
        ({"codec": "hevc", "quality": 27.0}, Settings("hevc", 27)),
        ({"lossless": True}, None),
    ],
)
def test_what_the_encoder_noted_is_read(tmp_path, options, settings):
    path = write(tmp_path / "clip.mp4", noise(2), **{"lossless": False} | options)
    assert settings_of(path) == settings


def test_coding_again_costs_what_coding_cost(tmp_path):
    """Pictures that only went through an encoder are as far from the source as the source coded with its settings."""
    frames = noise(3).float().permute(0, 3, 1, 2)
    frames = torch.nn.functional.avg_pool2d(frames, 5, 1, 2).permute(0, 2, 3, 1).to(torch.uint8)
    source = write(tmp_path / "source.mkv", frames)
    made = write(tmp_path / "made.mkv", frames, lossless=False, quality=24.0)
    reencode(source, tmp_path / "again.mkv", settings_of(made))

    def decibels(path) -> float:
        outside = Outside()
        with VideoReader(path) as ours, VideoReader(source) as theirs:
            for one, other in zip(ours.frames(), theirs.frames()):
                outside.update(one.picture, other.picture, [])
        return outside.psnr

    assert decibels(made) == pytest.approx(decibels(tmp_path / "again.mkv"), abs=0.5) and decibels(made) < 45
