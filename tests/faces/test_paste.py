"""Only the mouth changes, without a seam."""

from __future__ import annotations

import math

import pytest
import torch

from lipforcing.faces.align import full_frame_matrix
from lipforcing.faces.mask import mouth_mask
from lipforcing.faces.paste import MEMORY, ColourMatch
from lipforcing.faces.warp import invert, transform

from .pasting import crops_of, pasted, weights_of

SIZE = (150, 130)


def scene(count: int = 2, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """Smooth, colourful frames uint8 [T, H, W, 3]."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    waves = [
        120 + 60 * torch.sin(x / (9 + c) + t) + 50 * torch.cos(y / (11 - c)) for t in range(count) for c in range(3)
    ]
    return torch.stack(waves).view(count, 3, *size).permute(0, 2, 3, 1).round().to(torch.uint8)


def matrices(count: int = 2, scale: float = 4.5, angle: float = 0.15) -> torch.Tensor:
    """Frame to crop: the face fills most of the frame, a little turned."""
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    linear = torch.tensor([[c, -s], [s, c]])
    shift = torch.tensor([210.0, 280.0]) - linear @ torch.tensor([64.0, 78.0])
    return torch.cat([linear, shift[:, None]], 1).expand(count, 2, 3)


def difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.int() - b.int()).abs()


@pytest.mark.parametrize("scale", [1.0, 4.5])
def test_an_unchanged_face_leaves_the_frame_as_it_was(scale):
    size = SIZE if scale > 2 else (580, 500)
    frames = scene(size=size)
    middle = matrices(scale=scale)
    if scale < 2:
        middle = middle.clone()
        middle[:, :, 2] = torch.tensor([-30.0, 10.0])
    result = pasted(frames, crops_of(frames, middle), middle)
    assert difference(result, frames).max() <= 2
    assert difference(result, frames).float().mean() < 0.3


def test_not_one_pixel_changes_where_the_mask_is_zero():
    frames = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8)
    result = pasted(frames, torch.rand(2, 3, 64, 64) * 2 - 1, matrices())
    weight = weights_of(frames, matrices())
    assert 0.1 < (weight > 0).float().mean() < 0.6
    assert torch.equal(result[weight == 0], frames[weight == 0])
    assert difference(result, frames)[weight == 1].float().mean() > 30


def test_the_mask_lies_where_the_face_lies():
    weight = weights_of(scene(1), matrices(1))[0]
    rows, columns = (mouth_mask().nonzero().float().mean(0) + 0.5) * torch.tensor([560 / 256, 420 / 256]) - 0.5
    centre = transform(invert(matrices(1)[0]), torch.stack([columns, rows])[None])[0]
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in SIZE), indexing="ij")
    found = torch.stack([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    assert (found - centre).abs().max() < 0.2


def test_where_the_mask_is_one_the_generated_pixel_stands():
    frames = scene()
    green = torch.full((2, 3, 40, 40), -1.0)
    green[:, 1] = 1
    result = pasted(frames, green, matrices(), match_colour=False)
    inside = weights_of(frames, matrices()) == 1
    assert (result[inside] == torch.tensor([0, 255, 0], dtype=torch.uint8)).all()


def test_blends_are_rounded_not_cut():
    frames = torch.full((1, *SIZE, 3), 100, dtype=torch.uint8)
    face = torch.full((1, 3, 32, 32), 103 / 127.5 - 1)
    result = pasted(frames, face, matrices(1), match_colour=False)
    weight = weights_of(frames, matrices(1))[..., None].expand(-1, -1, -1, 3)
    assert (result.float() - (100 + 3 * weight)).abs().max() <= 0.51
    assert (result == 103).any() and (result == 102).any() and (result == 101).any()


@pytest.mark.parametrize(("gain", "offset"), [(0.85, 0.0), (1.15, -0.05), (1.0, 0.12)])
def test_a_colour_shift_of_the_generated_face_does_not_show(gain, offset):
    frames = (scene() * 0.75 + 32).to(torch.uint8)  # shifted, still no colours that a decoder cannot give
    shifted = crops_of(frames, matrices()) * gain + offset
    shifted[:, 2] += 0.06  # a tint as well
    matched = difference(pasted(frames, shifted, matrices()), frames)
    plain = difference(pasted(frames, shifted, matrices(), match_colour=False), frames)
    assert matched.max() <= 3 and plain.max() > 10


def test_colours_are_matched_on_the_ring_not_on_the_mouth():
    frames = scene()
    face = crops_of(frames, matrices(), (256, 256))
    face = torch.where(mouth_mask(), -face, face)  # another mouth, equal surroundings
    matched = pasted(frames, face, matrices())
    plain = pasted(frames, face, matrices(), match_colour=False)
    core = weights_of(frames, matrices()) == 1
    assert difference(matched, plain)[core].float().mean() < 3


def test_opacity():
    frames = scene()
    face = torch.rand(2, 3, 32, 32) * 2 - 1
    full = pasted(frames, face, matrices(), match_colour=False).float()
    half = pasted(frames, face, matrices(), [0.5, 0.5], match_colour=False).float()
    assert ((frames + full) / 2 - half).abs().max() <= 1
    assert torch.equal(pasted(frames, face, matrices(), [0.0, 0.0]), frames)
    assert (weights_of(frames, matrices(), [0.0, 0.0]) == 0).all()
    assert weights_of(frames, matrices(), [0.5, 0.25]).amax((1, 2)).tolist() == [0.5, 0.25]


def test_a_face_outside_of_the_frame_changes_nothing():
    far = matrices().clone()
    far[:, 0, 2] += 9000
    frames = scene()
    assert torch.equal(pasted(frames, torch.zeros(2, 3, 8, 8), far), frames)


def test_a_face_partly_outside_is_blended_where_it_is_inside():
    aside = matrices().clone()
    aside[:, 0, 2] += 300
    frames = scene()
    result = pasted(frames, crops_of(frames, aside), aside)
    assert (weights_of(frames, aside) > 0).any()
    assert difference(result, frames).max() <= 2


def test_footage_that_is_a_crop_survives_exactly():
    frames = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    whole = full_frame_matrix(96, 96).expand(2, 2, 3)
    assert torch.equal(pasted(frames, crops_of(frames, whole, (96, 96)), whole), frames)


def test_frames_of_a_batch_are_as_good_as_alone():
    """Only the size to which faces are brought first is common: nothing that an eye could tell."""
    frames, faces = scene(3), crops_of(scene(3), matrices(3)).roll(1, 0)
    middle = torch.cat([matrices(1), matrices(1, 4.2), matrices(1, 4.8, -0.3)])
    together = pasted(frames, faces, middle, match_colour=False)
    for i in range(3):
        alone = pasted(frames[i : i + 1], faces[i : i + 1], middle[i : i + 1], match_colour=False)
        assert difference(together[i : i + 1], alone).float().mean() < 0.3


def test_the_source_is_not_written_to():
    frames = scene()
    before = frames.clone()
    pasted(frames, torch.zeros(2, 3, 8, 8), matrices())
    assert torch.equal(frames, before)


def colours(match: ColourMatch, source_level: list[float]) -> list[float]:
    """Level of a grey face of 0.5 after it was matched to sources of given levels, 25 a second."""
    count = len(source_level)
    generated = torch.full((count, 3, 8, 8), 0.5)
    source = torch.tensor(source_level).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    found = match(generated, source, torch.ones(count, 1, 2, 2), [n / 25 for n in range(count)])
    return found[:, 0, 0, 0].tolist()


def test_a_hand_that_crosses_the_ring_does_not_tint_the_mouth():
    """Three frames of something dark: the colours hardly move, and come back."""
    levels = colours(ColourMatch(), [0.6] * 30 + [0.1] * 3 + [0.6] * 30)
    assert levels[:30] == pytest.approx([0.6] * 30, abs=1e-5)
    assert min(levels[30:]) > 0.51 and levels[-1] == pytest.approx(0.6, abs=0.02)


def test_light_that_stays_is_followed():
    levels = colours(ColourMatch(), [0.6] * 30 + [0.4] * 100)
    assert levels[29 + round(25 * MEMORY)] == pytest.approx(0.4 + 0.2 / math.e, abs=0.02)
    assert levels[-1] == pytest.approx(0.4, abs=0.01)


def test_colours_of_the_first_frame_are_matched_at_once_and_pieces_do_not_matter():
    assert colours(ColourMatch(), [0.7])[0] == pytest.approx(0.7, abs=1e-5)
    source = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    generated, ring = source.roll(1, 0), torch.ones(12, 1, 2, 2)
    times = [n / 25 for n in range(12)]
    whole = ColourMatch()(generated.clone(), source, ring, times)
    match, pieces = ColourMatch(), []
    for part in (slice(0, 5), slice(5, 12)):
        saved = match.copy()
        pieces.append(match(generated[part].clone(), source[part], ring[part], times[part]))
        again = saved(generated[part].clone(), source[part], ring[part], times[part])
        assert torch.equal(again, pieces[-1])
    torch.testing.assert_close(torch.cat(pieces), whole)


def test_a_ring_outside_of_the_picture_says_nothing():
    faces = torch.rand(2, 3, 8, 8)
    assert torch.equal(ColourMatch()(faces, faces * 0.5, torch.zeros(2, 1, 2, 2), [0.0, 0.04]), faces)
