"""The moving half of a drawn face."""

from __future__ import annotations

import pytest
import torch

from lipforcing.drawn.features import draw_brow, draw_eye, draw_glasses, draw_mouth, jaw_drop
from lipforcing.drawn.identity import Identity
from lipforcing.drawn.portrait import MIDLINE, grid

WHO = Identity.sample(3)
SIZE, EDGE = (140, 105), 4.0
SKIN = torch.tensor(WHO.skin)


def place() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Head coordinates [1, h, w] and a picture [1, h, w, 3] of bare skin."""
    x, y = grid(SIZE, (0.0, 0.0, 420.0, 560.0))
    return (x - MIDLINE)[None], y[None], SKIN.expand(1, *SIZE, 3).clone()


def changed(picture: torch.Tensor) -> torch.Tensor:
    return (picture - SKIN).abs().amax(-1)[0] > 0.02


def one(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1), value)


def test_a_jaw_drops_as_the_mouth_opens():
    assert jaw_drop(WHO, torch.tensor([[0.0] * 5, [1.0] + [0.0] * 4])).tolist() == pytest.approx([0, 0.36 * WHO.gape])


def test_a_mouth_is_drawn_about_its_place_and_larger_when_open():
    x, y, skin = place()
    shut, wide = (draw_mouth(WHO, x, y, torch.tensor([[o, 0.4, 0.0, 0.0, 0.0]]), skin, EDGE) for o in (0.0, 1.0))
    for picture in (shut, wide):
        rows = y[0][changed(picture)]
        assert WHO.mouth_y - 60 < rows.min() and rows.max() < WHO.mouth_y + 110
    assert changed(wide).sum() > 1.2 * changed(shut).sum()
    dark = (wide.amax(-1) < 0.35).sum() - (shut.amax(-1) < 0.35).sum()
    assert dark > 20  # the cavity


def test_lids_close_over_the_eye():
    x, y, skin = place()
    clear, look = torch.ones_like(x), torch.zeros(1, 1, 1, 2)
    views = [draw_eye(WHO, -1.0, x, y, one(blink), look, skin.clone(), clear, EDGE) for blink in (0.0, 1.0)]
    white = [(picture.amin(-1) > 0.75).sum() for picture in views]
    assert white[0] > 5 > white[1]
    assert x[0][changed(views[0])].max() < 0  # the left one in the image


def test_a_raised_brow_is_higher_and_glasses_lie_over_the_eyes():
    x, y, skin = place()
    clear = torch.ones_like(x)
    heights = []
    for lift in (0.0, 12.0):
        picture = draw_brow(WHO, 1.0, x, y, one(lift), skin.clone(), clear, EDGE)
        heights.append(y[0][changed(picture)].mean())
    assert 8 < heights[0] - heights[1] < 16
    with_rims = Identity.sample(next(seed for seed in range(50) if Identity.sample(seed).glasses > 0))
    seen = y[0][changed(draw_glasses(with_rims, x, y, skin.clone(), EDGE))]
    assert with_rims.eye_y - 70 < seen.min() and seen.max() < with_rims.eye_y + 80
