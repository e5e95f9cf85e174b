"""The gap between the lips, on drawn mouths whose opening is known."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.lips import CLOSED, MOVES, LipReader, lip_gap
from lipforcing.faces.align import box_matrix, full_frame_matrix
from lipforcing.media import ImagePicture
from lipforcing.tiny.meter import correlation

from .drawn import SIZE, pictures

OPENINGS = torch.tensor([0.0, 0.0, 0.3, 0.35, 0.45, 0.6, 0.8, 0.0, 0.9, 0.0])


@pytest.fixture(scope="module")
def reader() -> LipReader:
    return LipReader("cpu")


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    mouth = torch.zeros(len(OPENINGS), 5)
    mouth[:, 0], mouth[:, 1] = OPENINGS, 0.4
    return pictures(mouth)


def read(reader: LipReader, faces: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return reader([ImagePicture(face) for face in faces], matrix.expand(len(faces), -1, -1))


def test_drawn_mouths_are_read(reader, faces):
    gaps = read(reader, faces, full_frame_matrix(*SIZE))
    assert (gaps[OPENINGS == 0] < CLOSED / 2).all() and (gaps[OPENINGS > 0] > CLOSED).all()
    assert correlation(gaps, OPENINGS) > 0.95
    assert ((gaps.diff().abs() > MOVES) == (OPENINGS.diff().abs() > 0.04)).all()


def test_a_face_is_read_wherever_it_lies_in_a_picture(reader, faces):
    """Upright or turned, three times as large, and half as wide as it should be."""
    apart = read(reader, faces, full_frame_matrix(*SIZE))
    height, width = SIZE
    larger = torch.full((3 * height + 80, 3 * width + 60, 3), 90, dtype=torch.uint8)
    big = faces[8].repeat_interleave(3, 0).repeat_interleave(3, 1)
    larger[40:-40, 50:-10] = big
    turned = larger.transpose(0, 1).flip(0)  # a quarter to the left
    upright = box_matrix(50 - 0.5, 40 - 0.5, 50 + 3 * width - 0.5, 40 + 3 * height - 0.5)
    upright = full_frame_matrix(3 * height, 3 * width) @ torch.tensor([[1, 0, -50], [0, 1, -40], [0, 0, 1.0]])
    to_upright = torch.tensor([[0, -1.0, larger.shape[1] - 1], [1, 0, 0], [0, 0, 1]])
    (gap,) = read(reader, larger[None], upright)
    (gap_turned,) = read(reader, turned[None], upright[:, :2] @ to_upright[:2] + upright[:, 2:] * to_upright[2])
    assert gap == pytest.approx(float(apart[8]), abs=0.06) and gap_turned == pytest.approx(float(gap), abs=0.02)
    narrow = faces[8:9, :, ::2]
    (gap_narrow,) = read(reader, narrow, full_frame_matrix(height, width // 2))
    assert gap_narrow == pytest.approx(float(apart[8]), abs=0.08)


def test_where_no_face_is_there_is_no_gap(reader):
    noise = torch.randint(0, 256, (160, 120, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert read(reader, noise[None], full_frame_matrix(160, 120)).isnan().all()
    assert read(reader, noise[None], full_frame_matrix(160, 120) + torch.tensor([[0, 0, 9e4], [0, 0, 0]])).isnan().all()


def test_a_gap_is_across_the_mouth_and_in_its_widths():
    points = torch.zeros(478, 2)
    points[61], points[291] = torch.tensor([10.0, 50.0]), torch.tensor([90.0, 50.0])
    for upper, lower, x in ((82, 87, 40), (13, 14, 50), (312, 317, 60)):
        points[upper], points[lower] = torch.tensor([x, 48.0]), torch.tensor([x + 3.0, 56.0])
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    assert lip_gap(points) == pytest.approx(0.1) and lip_gap(points @ turn.T * 5) == pytest.approx(0.1)
    points[list((87, 14, 317)), 1] = 47
    assert lip_gap(points) < 0
