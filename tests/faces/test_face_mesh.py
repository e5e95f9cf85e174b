"""The face mesh: regions of interest, sampling, projection, and what it sees in drawn faces."""

from __future__ import annotations

import json
import math

import pytest
import torch

from lipforcing.faces.blazeface import FaceDetector
from lipforcing.faces.face_mesh import (
    FaceMesh,
    crop,
    crop_to_image,
    project,
    regions,
    roi_from_detection,
    roi_from_landmarks,
    texture,
    windows,
)
from lipforcing.faces.face_mesh_network import LIPS

from . import pictures

INNER_LIPS, EYE_CORNERS = (13, 14), (33, 263)


@pytest.fixture(scope="module")
def mesh():
    return FaceMesh()


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


def clip(who: str, step: int, count: int) -> torch.Tensor:
    return torch.stack(
        [torch.from_numpy(picture) for _, picture in pictures.frames(pictures.SAMPLES / f"{who}.mp4", step, count)]
    )


def found_rois(detector, frames: torch.Tensor) -> torch.Tensor:
    faces = [one for (one,) in detector.detect(frames)]
    return roi_from_detection(torch.stack([f.box for f in faces]), torch.stack([f.keypoints for f in faces]))


def test_a_level_roi_of_the_crops_size_is_cut_out_as_it_is():
    frames = torch.randint(0, 256, (1, 300, 400, 3), dtype=torch.uint8)
    rois = torch.tensor([[196.0, 116.0, 192.0, 0.0]])
    cut = crop(*regions(frames, rois), rois)
    assert torch.equal(cut, frames[:, 20:212, 100:292].permute(0, 3, 1, 2) / 255)
    assert torch.allclose(crop(*regions(frames / 255, rois), rois), cut)


def test_pixels_beyond_the_picture_repeat_its_border():
    frames = torch.randint(0, 256, (1, 100, 150, 3), dtype=torch.uint8)
    rois = torch.tensor([[75.0, 50.0, 192.0, 0.0]])
    cut = crop(*regions(frames, rois), rois)[0] * 255
    assert torch.equal(cut[:, 96 - 50, :21], frames[0, 0, 0, :, None].expand(3, 21).float())
    assert torch.equal(cut[:, 150:, 171:], frames[0, -1, -1, :, None, None].expand(3, 42, 21).float())


@pytest.mark.parametrize(
    "rois",
    [
        [[100.0, 80.0, 60.0, 0.3], [130.0, 90.0, 150.0, -0.8]],
        [[10.0, 10.0, 80.0, 0.5], [195.0, 145.0, 40.0, 3.0]],
        [[-300.0, -200.0, 50.0, 0.1], [900.0, 70.0, 50.0, 0.0]],
    ],
    ids=["inside", "over the border", "outside"],
)
def test_regions_hold_all_that_a_crop_is_made_of(rois):
    rois = torch.tensor(rois)
    frames = torch.randint(0, 256, (2, 160, 200, 3), dtype=torch.uint8)
    origins, (height, width) = windows(rois, (160, 200))
    assert (origins >= 0).all() and (origins + torch.tensor([width, height]) <= torch.tensor([200, 160])).all()
    whole = crop(frames.permute(0, 3, 1, 2), torch.zeros(2, 2), rois)
    levels = (crop(*regions(frames, rois), rois) - whole).mul(255).round().abs()
    assert levels.max() <= 1 and levels.mean() < 0.05  # a value half-way between two levels may become either


def test_a_roi_around_part_of_a_large_picture_takes_that_part_only():
    _, (height, width) = windows(torch.tensor([[2000.0, 1000.0, 300.0, 0.0]]), (2160, 3840))
    assert height <= 302 and width <= 302


def test_points_go_back_to_where_the_crop_was_taken():
    rois = torch.tensor([[50.0, 60.0, 96.0, math.pi / 2]])
    points = torch.tensor([[[96.0, 96.0, 4.0], [192.0, 96.0, 0.0]]])
    expected = torch.tensor([[[50.0, 60.0, 2.0], [50.0, 108.0, 0.0]]])
    assert torch.allclose(project(points, rois), expected, atol=1e-4)
    assert torch.allclose(crop_to_image(rois)[0] @ torch.tensor([96.0, 96.0, 1.0]), rois[0, :2])


def test_rois_stand_around_the_face_and_turn_with_the_eyes():
    keypoints = torch.tensor([[40.0, 50.0], [80.0, 90.0], [0, 0], [0, 0], [0, 0], [0, 0]])
    roi = roi_from_detection(torch.tensor([20.0, 30.0, 120.0, 110.0]), keypoints)
    assert roi.tolist() == pytest.approx([70.0, 70.0, 150.0, math.pi / 4])
    points = torch.full((2, 478, 2), 50.0)
    points[:, 10], points[:, 152] = torch.tensor([50.0, 0.0]), torch.tensor([50.0, 120.0])
    points[:, 33], points[:, 263] = torch.tensor([30.0, 40.0]), torch.tensor([70.0, 40.0])
    assert roi_from_landmarks(points).tolist() == [pytest.approx([50.0, 60.0, 180.0, 0.0])] * 2


def test_texture_is_the_colour_around_each_point():
    row = torch.arange(192.0)
    crops = torch.stack([row.expand(192, 192), row[:, None].expand(192, 192), torch.zeros(192, 192)])[None]
    points = torch.tensor([[[20.0, 100.0, 5.0], [33.0, 41.5, 0.0], [500.0, -9.0, 0.0]]])
    found = texture(crops, points)[0]
    assert torch.allclose(found[:2], torch.tensor([[20.0, 100.0, 0.0], [33.0, 41.5, 0.0]]), atol=1e-4)
    assert torch.allclose(found[2], torch.tensor([189.5, 1.5, 0.0]))  # beyond the border: the last colour


def test_a_picture_turned_by_a_quarter_has_its_points_there(mesh, detector):
    frames = clip("ada", 1, 1)
    rois = found_rois(detector, frames)
    points, *_ = mesh.landmarks(*regions(frames, rois), rois)
    height = frames.shape[1]
    turned = frames.rot90(-1, (1, 2))  # (x, y) to (height - 1 - y, x)
    x, y, side, angle = rois[0]
    rois = torch.stack([height - 1 - y, x, side, angle + math.pi / 2])[None]
    moved, *_ = mesh.landmarks(*regions(turned, rois), rois)
    expected = torch.stack([height - 1 - points[..., 1], points[..., 0], points[..., 2]], -1)
    assert torch.allclose(moved, expected, atol=0.5)


def test_the_points_of_one_frame_lead_to_those_of_the_next(mesh, detector):
    first, second = clip("ben", 1, 2).split(1)
    rois = found_rois(detector, first)
    points, *_ = mesh.landmarks(*regions(first, rois), rois)
    rois = roi_from_landmarks(points)
    followed, presence, _ = mesh.landmarks(*regions(second, rois), rois)
    rois = found_rois(detector, second)
    afresh, *_ = mesh.landmarks(*regions(second, rois), rois)
    assert presence[0] > 0.9
    assert (followed - afresh)[..., :2].norm(dim=-1).mean() < 2


def test_no_face_is_present_where_there_is_none(mesh):
    crops = torch.stack([torch.zeros(3, 192, 192), torch.rand(3, 192, 192), torch.full((3, 192, 192), 0.7)])
    _, presence = mesh(crops)
    assert presence.shape == (3,) and presence.max() < 0.1


@pytest.mark.parametrize("who", ["ada", "ben"])
def test_lips_open_in_the_points_as_they_do_in_the_drawing(mesh, detector, who):
    frames = clip(who, 3, 40)
    opening = torch.tensor(json.loads((pictures.SAMPLES / "tracks.json").read_text())[who][::3][:40])
    rois = found_rois(detector, frames)
    points, *_ = mesh.landmarks(*regions(frames, rois), rois)

    def distance(pair: tuple[int, int]) -> torch.Tensor:
        return (points[:, pair[0], :2] - points[:, pair[1], :2]).norm(dim=-1)

    gap = distance(INNER_LIPS) / distance(EYE_CORNERS)
    assert torch.corrcoef(torch.stack([gap, opening]))[0, 1] > 0.85
    assert gap[opening < 0.02].max() < 0.02 < gap[opening > 0.3].min()


def test_brows_alone_are_those_of_the_whole_mesh(mesh):
    crops = torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(1))
    whole, presence = mesh(crops)
    brows, same = FaceMesh(brows_only=True)(crops)
    assert brows.shape == (2, 468, 3) and torch.equal(presence, same)
    others = [index for index in range(468) if index not in LIPS]
    assert torch.equal(brows[:, others], whole[:, others])
    assert not torch.equal(brows[:, LIPS], whole[:, LIPS])
