"""Anchors of every landmark layout."""

from __future__ import annotations

import pytest
import torch

from lipforcing.faces.align import TEMPLATE, similarity
from lipforcing.faces.landmarks import ANCHORS, TEMPLATES, Face, anchors

BOX = torch.tensor([0.0, 0.0, 100.0, 100.0])


def test_yunet_anchors_follow_the_eye_frame():
    # Eyes level, 50 apart: the unit is 50 pixels.
    points = torch.tensor([[100.0, 80.0], [150.0, 80.0], [0, 0], [0, 0], [0, 0]])
    expected = torch.tensor([[125 - 28.5, 80 - 15], [125 + 29.5, 80 - 14.5], [125, 80 + 24.5]])
    assert torch.allclose(anchors(Face(BOX, 1.0, points, "yunet5")), expected)


def test_yunet_anchors_turn_with_the_head():
    angle = torch.tensor(0.3)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    points = torch.rand(5, 2) + torch.tensor([[0.0, 0.0], [50.0, 4.0], [0, 0], [0, 0], [0, 0]])
    upright = anchors(Face(BOX, 1.0, points, "yunet5"))
    assert torch.allclose(anchors(Face(BOX, 1.0, points @ turn.T, "yunet5")), upright @ turn.T, atol=1e-4)


@pytest.mark.parametrize(
    ("layout", "count", "groups"),
    [
        (
            "mediapipe478",
            478,
            [(63, 66, 70, 105, 107), (293, 296, 300, 334, 336), (4, 5, 48, 195, 278)],
        ),
        ("insightface106", 106, [(43, 48, 49, 50, 51), (101, 102, 103, 104, 105), (74, 77, 83, 86)]),
    ],
)
def test_dense_anchors_are_the_means_of_their_points(layout, count, groups):
    points = torch.rand(count, 2)
    points[list(groups[1])] += torch.tensor([5.0, 0.0])
    result = anchors(Face(BOX, 1.0, points, layout))
    for anchor, group in zip(result, groups):
        assert torch.allclose(anchor, points[list(group)].mean(0))
    mirrored = points * torch.tensor([-1.0, 1.0])  # a mirrored video: the brow on the left is the other one now
    flipped = anchors(Face(BOX, 1.0, mirrored, layout))
    assert torch.allclose(flipped, result[[1, 0, 2]] * torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize("mirrored", [1.0, -1.0])
def test_a_layout_with_a_template_of_its_own_is_aligned_to_that(mirrored):
    points = torch.rand(478, 2) * 20 + torch.tensor([300.0, 200.0])
    for group, place in zip(([70, 63, 105, 66, 107], [336, 296, 334, 293, 300], [195, 5, 4, 48, 278]), TEMPLATE):
        points[group] += place
    points *= torch.tensor([mirrored, 1.0])
    found = anchors(Face(BOX, 1.0, points, "attention478"))
    ruled = ANCHORS["attention478"](points)
    ruled = ruled if mirrored > 0 else ruled[[1, 0, 2]]
    own = similarity(ruled, TEMPLATES["attention478"])
    assert torch.allclose(similarity(found, TEMPLATE), own, atol=1e-3)
    assert not torch.allclose(similarity(ruled, TEMPLATE), own, atol=1e-2)
