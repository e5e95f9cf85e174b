"""The mouth mask against its image, and the masks derived from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lipforcing.faces.mask import FEATHER, blend_mask, colour_ring, latent_mask, mouth_mask, pixel_mask


def test_the_geometry_is_the_image(assets):
    picture = np.array(Image.open(assets / "mouth_mask_256.png").convert("L"))
    assert torch.equal(mouth_mask(), torch.from_numpy(picture == 0))


def test_share_and_outline():
    mask = mouth_mask()
    assert mask.float().mean().item() == pytest.approx(0.4070, abs=5e-5)
    rows, columns = mask.nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (95, 242, 9, 247)


def test_latent_grid_has_the_published_cells():
    mask = latent_mask(64, 64)
    assert mask.sum() == 1680
    rows, columns = mask.nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (24, 60, 2, 61)
    assert mask[24:32].any(0).nonzero().ravel().tolist() == [*range(2, 20), *range(44, 62)]
    assert mask[60].nonzero().ravel().tolist() == list(range(27, 39))


def test_a_cell_exactly_half_kept_is_generated():
    # At 128 each cell averages 2 x 2 grid pixels: rows 134 / 135 at columns 246 / 247 hold one generated pixel row
    # of two, which makes exactly 0.5.
    half = torch.nn.functional.avg_pool2d(mouth_mask().float()[None, None], 2)[0, 0] == 0.5
    assert half.any()
    assert pixel_mask(128, 128)[half].all()


def test_pixel_mask_at_512_spans_the_published_rows():
    rows, columns = pixel_mask(512, 512).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (190, 485, 18, 495)


def test_blend_is_one_inside_zero_beyond_the_rim_and_smooth():
    blend, mask = blend_mask(), mouth_mask()
    grown = torch.nn.functional.max_pool2d(mask.float()[None, None], 2 * FEATHER + 1, 1, FEATHER)[0, 0] > 0
    assert (blend[~grown] == 0).all()
    core = -torch.nn.functional.max_pool2d(-mask.float()[None, None], 2 * FEATHER + 1, 1, FEATHER)[0, 0] > 0
    assert (blend[core] == 1).all()
    assert blend.diff(dim=0).abs().max() < 0.25 and blend.diff(dim=1).abs().max() < 0.25
    assert (blend[0] == 0).all() and (blend[-1] == 0).all()  # nothing to blend at the crop's own border
    assert (blend[:, 0] == 0).all() and (blend[:, -1] == 0).all()


def test_the_colour_ring_surrounds_the_mask_without_touching_it():
    ring = colour_ring().bool()
    assert ring.any() and not (ring & mouth_mask()).any()
    assert ring[250].any() and ring[110, 128] == 0  # below the chin; the nose between the notches stays out
