"""The instrument that measures where a mask was pasted."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lipforcing.faces.align import CROP_SIZE
from lipforcing.faces.mask import mouth_mask
from lipforcing.faces.warp import invert, sample
from tools.crop_geometry import EDGES, Placement, difference_map, edge_offsets, log_map, place


def composites(placement: Placement, frames: int = 6) -> torch.Tensor:
    """Difference map of frames that are crops, into which other pixels were pasted under a mask placed so."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, frames, 3, 140, 105, generator=random).flatten(0, 1)
    before, pasted = F.interpolate(coarse, size=CROP_SIZE, mode="bicubic").clamp(0, 1).mul(255).chunk(2)
    mask = F.interpolate(mouth_mask().float()[None, None], size=CROP_SIZE, mode="bilinear", align_corners=False)[0]
    mask = sample(mask[None], invert(placement.matrix())[None], CROP_SIZE)
    encoded = before * 0.7 + 60 + torch.randn(before.shape, generator=random)  # another encoding of colours, and noise
    after = encoded + 0.3 * mask * (pasted - encoded)
    to_frames = [images.clamp(0, 255).byte().permute(0, 2, 3, 1) for images in (before, after)]
    return difference_map(*to_frames, torch.eye(2, 3).expand(frames, -1, -1))


@pytest.mark.parametrize("placement", [Placement(0, 0, 1), Placement(5, -4, 0.95), Placement(-7, 6, 1.04)])
def test_a_pasted_mask_is_found(placement):
    found = place(log_map(composites(placement)))
    assert found.dx == pytest.approx(placement.dx, abs=1)
    assert found.dy == pytest.approx(placement.dy, abs=1)
    assert found.scale == pytest.approx(placement.scale, abs=0.01)


def test_every_edge_is_found_where_it_is():
    there = edge_offsets(log_map(composites(Placement(0, 0, 1))))
    assert there.keys() == EDGES.keys() and max(map(abs, there.values())) <= 1.5
    moved = edge_offsets(log_map(composites(Placement(0, 5, 1))))
    assert moved["nose, below"] == pytest.approx(5, abs=1.5)
    assert moved["left cheek, top"] == pytest.approx(5, abs=1.5)
    assert moved["nose, left"] == pytest.approx(0, abs=1.5)


def test_another_encoding_of_colours_makes_no_difference():
    assert composites(Placement(0, 0, 1))[:150].mean() < 2
