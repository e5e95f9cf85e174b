from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from lipforcing.drawn.faces import RELAXED, Identity, render, sample_head
from lipforcing.errors import InputError
from lipforcing.faces.mask import mouth_mask

SIZE = (128, 96)


def generated_region(size):
    """Bool [H, W], True where a pixel lies entirely in the mouth mask."""
    return functional.interpolate(mouth_mask().float()[None, None], size, mode="area")[0, 0] > 0.999


def tracks(seed, frames):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(frames, 5, generator=generator), sample_head(seed, 8 * frames)[::8]


@pytest.mark.parametrize("seed", range(3))
def test_mouth_moves_only_inside_the_mask(seed):
    mouth, pose = tracks(seed, 6)
    mouth[0] = torch.tensor((1.0, 1.0, 0.0, 1.0, 1.0))
    mouth[1] = torch.tensor((1.0, 0.0, 1.0, 0.0, 0.0))
    who = Identity.sample(seed)
    rest = torch.tensor(RELAXED).expand_as(mouth)
    talking, silent = render(who, mouth, pose, SIZE), render(who, rest, pose, SIZE)
    change = (talking.int() - silent.int()).abs().amax((0, 3))
    assert change[~generated_region(SIZE)].max() == 0
    assert change.max() > 60


def test_mouth_stays_inside_the_mask_in_the_most_extreme_pose():
    pose = sample_head(0, 1500).abs().amax(0)
    corners = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]]).repeat(1, 4)
    pose = torch.cat([corners * pose, corners[:, [0, 1, 1, 0, 2, 3, 6, 7]] * pose])
    pose[:, 6:] = 0
    mouth = torch.ones(len(pose), 5)
    who = Identity.sample(3)
    talking, silent = render(who, mouth, pose, SIZE), render(who, mouth * 0, pose, SIZE)
    change = (talking.int() - silent.int()).abs().amax((0, 3))
    assert change[~generated_region(SIZE)].max() == 0


def test_same_arguments_same_pixels_and_other_seed_other_person():
    mouth, pose = tracks(1, 3)
    one = render(Identity.sample(5), mouth, pose, SIZE)
    torch.manual_seed(9)
    assert torch.equal(one, render(Identity.sample(5), mouth, pose, SIZE))
    assert (one.int() - render(Identity.sample(6), mouth, pose, SIZE).int()).abs().float().mean() > 8
    assert one.shape == (3, *SIZE, 3) and one.dtype == torch.uint8


def test_frames_do_not_depend_on_their_neighbours():
    mouth, pose = tracks(2, 40)
    who = Identity.sample(2)
    whole = render(who, mouth, pose, (64, 48))
    alone = render(who, mouth[35:36], pose[35:36], (64, 48))
    assert (whole[35].int() - alone[0].int()).abs().max() <= 1


def interior_area(frames):
    """Pixels between two green ones of their column that are not green: what shows between green lips. [T]"""
    red, green, blue = frames.float().unbind(-1)
    lips = green > 1.5 * torch.maximum(red, blue)
    above, below = lips.cumsum(1) > 0, lips.flip(1).cumsum(1).flip(1) > 0
    return (above & below & ~lips).sum((1, 2))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rounding", [0.0, 0.8])
def test_interior_grows_with_opening(seed, rounding):
    mouth = torch.tensor((0.0, 0.4, rounding, 0.3, 0.1)).repeat(5, 1)
    mouth[:, 0] = torch.linspace(0, 1, 5)
    who = replace(Identity.sample(seed), lip=(0.0, 0.8, 0.0), stubble=0.0)
    area = interior_area(render(who, mouth, torch.zeros(5, 8), SIZE))
    assert (area.diff() > 8).all() and area[0] < 0.25 * area[-1]


def test_teeth_are_bright_and_appear_with_the_teeth_column():
    mouth = torch.tensor([[0.5, 0.5, 0, 0, 0], [0.5, 0.5, 0, 1, 0]])
    who = Identity.sample(4)
    frames = render(who, mouth, torch.zeros(2, 8), (256, 192))
    row, column = int(who.mouth_y / 560 * 256), 96
    patch = frames[:, row - 3 : row + 3, column - 4 : column + 4].float().mean((1, 2)).amin(-1)
    assert patch[1] > 150 > patch[0]


def test_head_track_is_smooth_blinks_and_continues():
    long, short = sample_head(7, 500), sample_head(7, 90)
    assert torch.allclose(long[:90], short)
    assert long[:, :6].diff(dim=0).abs().amax(0).lt(torch.tensor((0.3, 0.3, 0.001, 0.002, 0.012, 0.01))).all()
    assert long[:, 6].max() > 0.8 and long[:, 6].median() < 1e-6
    assert not torch.equal(long, sample_head(8, 500))


def test_tracks_that_do_not_fit_are_refused():
    with pytest.raises(InputError):
        render(Identity.sample(0), torch.zeros(4, 5), torch.zeros(3, 8), (16, 16))
