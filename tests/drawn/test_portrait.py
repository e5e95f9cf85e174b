"""The still half of a drawn face."""

from __future__ import annotations

import pytest
import torch

from lipforcing.drawn.identity import HAIR_STYLES, Identity
from lipforcing.drawn.portrait import MIDLINE, REGION, background, blend, blob, face_outline, grid, head, smooth

SIZE = (64, 50)


def test_smoothstep_and_blending():
    values = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert smooth(values, 0, 1).tolist() == [0, 0, 0.5, 1, 1] and smooth(values, 1, 0).tolist() == [1, 1, 0.5, 0, 0]
    assert blob(torch.tensor(3.0), torch.tensor(4.0), 3, 4, 1, 1) == 1
    assert blend(torch.zeros(2, 3), (1.0, 0.5, 0.0), torch.tensor([0.0, 0.5])).tolist() == [[0, 0, 0], [0.5, 0.25, 0]]


def test_a_grid_has_its_pixels_centres():
    x, y = grid((2, 4), (0.0, 0.0, 40.0, 10.0))
    assert x[0].tolist() == [5, 15, 25, 35] and y[:, 0].tolist() == [2.5, 7.5]


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_a_head_covers_the_face_and_not_the_corners(style):
    who = next(one for seed in range(200) if (one := Identity.sample(seed)).hair_style == style)
    texture = head(who, SIZE, 8.0)
    assert texture.shape == (5, *SIZE) and texture.isfinite().all() and texture.min() >= 0
    x, y = grid(SIZE, REGION)
    inside = face_outline(who, x - MIDLINE, y) < -0.1
    opacity, front = texture[3:]
    assert opacity[inside].min() > 0.9 and opacity[0, 0] == opacity[0, -1] == 0
    assert front.min() >= 0 and opacity.max() <= 1 and (front <= opacity + 1e-6).all()


def test_walls_are_of_the_persons_room():
    one, other = (background(Identity.sample(seed), SIZE) for seed in (1, 2))
    assert one.shape == (*SIZE, 3) and torch.equal(one, background(Identity.sample(1), SIZE))
    assert (one - other).abs().mean() > 0.02
