"""A mouth that something covers is told from one that talks, turns into another light or was covered before."""

from __future__ import annotations

from statistics import mean

import torch

from lipforcing.faces.cover import (
    AROUND,
    CHIN,
    COVERED,
    LIPS,
    LOWER_FACE,
    PATIENCE,
    SEEN,
    WITHOUT_LIPS,
    CoverGuard,
    correlation,
    likeness,
    limits,
    lip_contrast,
    redness,
)

POINTS, STEP = 468, 0.08
SKIN, RED = torch.tensor([0.8, 0.6, 0.5]), torch.tensor([0.6, 0.3, 0.3])


def skin(seed: int = 0, lips: float = 1.0) -> torch.Tensor:
    """Colours of a face whose lips are there by a share."""
    texture = SKIN + 0.04 * torch.randn(POINTS, 3, generator=torch.Generator().manual_seed(seed))
    texture[list(LIPS)] += lips * (RED - SKIN)
    texture[list(CHIN)] *= 0.85  # in the shade
    return texture.clamp(0, 1)


def hand() -> torch.Tensor:
    """Skin, with edges of light where fingers lie, before everything below the nose."""
    texture = skin()
    texture[list(LOWER_FACE)] = SKIN * (0.85 + 0.2 * (torch.arange(len(LOWER_FACE)) * 0.7).sin()[:, None])
    return texture


def watched(textures, step: float = STEP) -> list[bool]:
    guard = CoverGuard()
    return [guard.update(texture, step) for texture in textures]


def test_the_groups_are_points_of_the_mesh_each_once():
    assert len({*LOWER_FACE}) == len(LIPS) + len(AROUND) + len(CHIN) and max(LOWER_FACE) < POINTS


def test_a_hand_comes_and_goes():
    assert watched([skin()] * 5 + [hand()] * 5 + [skin(lips=0.8)] * 5) == [False] * 5 + [True] * 5 + [False] * 5


def test_light_and_noise_cover_nothing():
    texture = skin()
    noisy = texture + 0.03 * torch.randn(texture.shape, generator=torch.Generator().manual_seed(1))
    lights = [
        texture * 0.4,
        (texture * 1.3).clamp(max=1),
        texture * torch.tensor([1.2, 1.0, 0.7]),
        texture + 0.1,
        noisy,
    ]
    assert not any(watched([texture] + lights))


def test_a_grimace_covers_nothing():
    """It shades the skin anew by folds, and leaves it its tint."""
    texture = skin()
    shade = 1 + 0.35 * torch.randn(POINTS, 1, generator=torch.Generator().manual_seed(4)).clamp(-1.5, 1.5)
    folded = (texture * shade).clamp(0, 1)
    lower = list(LOWER_FACE)
    assert correlation(folded[lower], texture[lower]) < 0.6
    assert not any(watched([texture] * 3 + [folded] * 20))


def test_lips_that_are_seen_are_not_covered():
    """However else the face looks, as with a mouth wide open."""
    texture = skin()
    strange = skin(seed=7)
    shade = 0.6 + 0.8 * torch.rand(len(AROUND + CHIN), 1, generator=torch.Generator().manual_seed(6))
    strange[list(AROUND + CHIN)] = hand()[list(AROUND + CHIN)] * shade
    assert likeness(strange, texture) < 0.66
    assert not any(watched([texture] * 3 + [strange] * 5))
    strange[list(LIPS)] = hand()[list(LIPS)]
    assert watched([texture] * 3 + [strange])[-1]


def test_lost_lips_make_a_cover_certain():
    """What looks half alike is covered where the lips have lost their red, and free where they have some of it."""
    texture = skin()
    red = redness(texture)
    assert limits(skin(lips=0.0), texture) == WITHOUT_LIPS and limits(skin(lips=0.8), texture) == SEEN
    assert limits(skin(lips=0.45), texture) == COVERED and 0.3 * red < redness(skin(lips=0.45)) < 0.6 * red
    assert limits(skin(lips=0.0), skin(lips=0.0)) == COVERED  # nothing is known of pale lips


def test_black_and_white():
    """Has no tints to go by."""

    def grey(texture):
        noise = 1e-3 * torch.randn(texture.shape, generator=torch.Generator().manual_seed(5))
        return texture.mean(-1, keepdim=True) + noise

    talking = grey(skin(lips=0.8))
    seen = watched([grey(skin())] * 3 + [talking] * 3 + [grey(hand())] * 3 + [talking] * 3)
    assert seen == [False] * 6 + [True] * 3 + [False] * 3


def test_hysteresis():
    """Between the two thresholds a mouth stays what it was."""
    texture = skin()
    mixtures = [torch.lerp(texture, hand(), float(share)) for share in torch.linspace(0, 1, 101)]
    between = min(mixtures, key=lambda one: abs(likeness(one, texture) - mean(limits(one, texture))))
    low, high = limits(between, texture)
    assert 0 < low < likeness(between, texture) < high
    guard = CoverGuard()
    guard.update(texture, STEP)
    assert not guard.update(between, 0.0)
    guard = CoverGuard()
    guard.update(texture, STEP)
    assert guard.update(hand(), STEP) and guard.update(between, STEP) and not guard.update(texture, STEP)


def test_what_is_covered_is_not_learnt():
    """However long it takes: what comes back is compared with what was there before."""
    seen = watched([skin()] * 3 + [hand()] * 100 + [skin(), hand()])
    assert seen == [False] * 3 + [True] * 100 + [False, True]


def test_a_slow_turn_is_learnt():
    """From one side's light to the other's in four seconds."""
    slope = torch.linspace(-0.3, 0.3, POINTS)[torch.randperm(POINTS, generator=torch.Generator().manual_seed(2))]
    sides = [skin() * (1 + (2 * n / 49 - 1) * slope[:, None]) for n in range(50)]
    assert likeness(sides[0], sides[-1]) < 0.66
    assert not any(watched(sides))


def test_lips_that_appear_are_believed():
    """A mouth that is covered when the shot starts is taken for one, until lips are seen."""
    assert lip_contrast(skin()) > 1 > lip_contrast(hand())
    assert watched([hand()] * 5 + [skin()] * 5 + [hand()] * 2) == [False] * 10 + [True] * 2


def test_patience_ends():
    steps = round(PATIENCE / STEP)
    seen = watched([skin()] * 3 + [hand()] * (steps + 20))
    assert seen[3 : 3 + steps - 1] == [True] * (steps - 1) and not any(seen[3 + steps + 1 :])
