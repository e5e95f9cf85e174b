"""Only the mouth changes, without a seam."""

from __future__ import annotations

import math

import pytest
import torch

from lipforcing.faces.align import crop_faces, full_frame_matrix
from lipforcing.faces.composite import composite, frame_masks
from lipforcing.faces.mask import mouth_mask
from lipforcing.faces.track import FaceTrack
from lipforcing.faces.warp import invert, transform

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


def fixed(matrix: torch.Tensor, opacity: float = 1.0, size: tuple[int, int] = SIZE) -> FaceTrack:
    count = len(matrix)
    alpha = torch.full((count,), opacity)
    return FaceTrack(matrix, alpha > 0, alpha, size)


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
    result = composite(frames, crop_faces(frames, middle), fixed(middle, size=size))
    assert difference(result, frames).max() <= 2
    assert difference(result, frames).float().mean() < 0.3


def test_not_one_pixel_changes_where_the_mask_is_zero():
    frames = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8)
    track = fixed(matrices())
    result = composite(frames, torch.rand(2, 3, 64, 64) * 2 - 1, track)
    weight = frame_masks(track)
    assert 0.1 < (weight > 0).float().mean() < 0.6
    assert torch.equal(result[weight == 0], frames[weight == 0])
    assert difference(result, frames)[weight == 1].float().mean() > 30


def test_the_mask_lies_where_the_face_lies():
    weight = frame_masks(fixed(matrices(1)))[0]
    rows, columns = (mouth_mask().nonzero().float().mean(0) + 0.5) * torch.tensor([560 / 256, 420 / 256]) - 0.5
    centre = transform(invert(matrices(1)[0]), torch.stack([columns, rows])[None])[0]
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in SIZE), indexing="ij")
    found = torch.stack([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    assert (found - centre).abs().max() < 0.2


def test_where_the_mask_is_one_the_generated_pixel_stands():
    frames = scene()
    green = torch.full((2, 3, 40, 40), -1.0)
    green[:, 1] = 1
    track = fixed(matrices())
    result = composite(frames, green, track, match_colour=False)
    inside = frame_masks(track) == 1
    assert (result[inside] == torch.tensor([0, 255, 0], dtype=torch.uint8)).all()


def test_blends_are_rounded_not_cut():
    frames = torch.full((1, *SIZE, 3), 100, dtype=torch.uint8)
    face = torch.full((1, 3, 32, 32), 103 / 127.5 - 1)
    track = fixed(matrices(1))
    result = composite(frames, face, track, match_colour=False)
    weight = frame_masks(track)[..., None].expand(-1, -1, -1, 3)
    assert (result.float() - (100 + 3 * weight)).abs().max() <= 0.51
    assert (result == 103).any() and (result == 102).any() and (result == 101).any()


@pytest.mark.parametrize(("gain", "offset"), [(0.85, 0.0), (1.15, -0.05), (1.0, 0.12)])
def test_a_colour_shift_of_the_generated_face_does_not_show(gain, offset):
    frames = scene()
    track = fixed(matrices())
    shifted = crop_faces(frames, track.matrices) * gain + offset
    shifted[:, 2] += 0.06  # a tint as well
    matched = difference(composite(frames, shifted, track), frames)
    plain = difference(composite(frames, shifted, track, match_colour=False), frames)
    assert matched.max() <= 3 and plain.max() > 10


def test_colours_are_matched_on_the_ring_not_on_the_mouth():
    frames = scene()
    track = fixed(matrices())
    face = crop_faces(frames, track.matrices, (256, 256))
    face = torch.where(mouth_mask(), -face, face)  # another mouth, equal surroundings
    matched = composite(frames, face, track)
    plain = composite(frames, face, track, match_colour=False)
    core = frame_masks(track) == 1
    assert difference(matched, plain)[core].float().mean() < 3


def test_opacity_and_invisible_frames():
    frames = scene()
    face = torch.rand(2, 3, 32, 32) * 2 - 1
    full = composite(frames, face, fixed(matrices()), match_colour=False).float()
    half = composite(frames, face, fixed(matrices(), 0.5), match_colour=False).float()
    assert ((frames + full) / 2 - half).abs().max() <= 1
    assert torch.equal(composite(frames, face, fixed(matrices(), 0.0)), frames)
    assert (frame_masks(fixed(matrices(), 0.0)) == 0).all()
    assert frame_masks(fixed(matrices(), 0.5)).max() == 0.5


def test_a_face_outside_of_the_frame_changes_nothing():
    far = matrices().clone()
    far[:, 0, 2] += 9000
    frames = scene()
    assert torch.equal(composite(frames, torch.zeros(2, 3, 8, 8), fixed(far)), frames)


def test_a_face_partly_outside_is_blended_where_it_is_inside():
    aside = matrices().clone()
    aside[:, 0, 2] += 300
    frames = scene()
    result = composite(frames, crop_faces(frames, aside), fixed(aside))
    assert (frame_masks(fixed(aside)) > 0).any()
    assert difference(result, frames).max() <= 2


def test_footage_that_is_a_crop_survives_exactly():
    frames = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    track = fixed(full_frame_matrix(96, 96).expand(2, 2, 3), size=(96, 96))
    assert torch.equal(composite(frames, crop_faces(frames, track.matrices, (96, 96)), track), frames)


def test_frames_do_not_influence_each_other():
    frames, faces = scene(3), torch.rand(3, 3, 32, 32) * 2 - 1
    middle = torch.cat([matrices(1), matrices(1, 3.0), matrices(1, 6.0, -0.3)])
    together = composite(frames, faces, fixed(middle))
    for i in range(3):
        alone = composite(frames[i : i + 1], faces[i : i + 1], fixed(middle[i : i + 1]))
        assert torch.equal(together[i : i + 1], alone)


def test_the_source_is_not_written_to():
    frames = scene()
    before = frames.clone()
    composite(frames, torch.zeros(2, 3, 8, 8), fixed(matrices()))
    assert torch.equal(frames, before)
