"""Geometry of the mouth mask that the weights were trained with; 1 is where the mouth is generated.

The mask lives on a 256 x 256 grid over the whole face crop, whatever size that crop has. All resizing here is
half-pixel centred: the edges of one grid lie on the edges of the other, so column x of the grid is column
(x + 0.5) w / 256 - 0.5 of a crop of width w.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F

GRID = 256

# (first row, first column, last column): each span holds until the row of the next entry (docs/model.md, Mouth mask).
CHEEKS = ((95, 9, 77), (95, 178, 246))  # beside the nose, down to the first row of LOWER_FACE
# fmt: off
LOWER_FACE = (
    (128, 9, 247), (135, 9, 246), (136, 10, 246), (149, 10, 245), (150, 11, 245), (163, 11, 244),
    (164, 12, 244), (170, 12, 243), (171, 13, 243), (172, 13, 242), (173, 14, 242), (174, 14, 241),
    (175, 15, 241), (176, 15, 240), (177, 16, 240), (178, 16, 239), (179, 17, 238), (180, 18, 238),
    (181, 18, 237), (182, 19, 236), (184, 20, 235), (185, 21, 234), (187, 22, 233), (188, 22, 232),
    (189, 23, 232), (190, 24, 231), (191, 25, 230), (192, 26, 230), (193, 26, 229), (194, 27, 228),
    (195, 28, 228), (196, 29, 227), (197, 30, 226), (198, 31, 225), (199, 32, 224), (200, 33, 223),
    (201, 34, 223), (202, 34, 222), (203, 35, 221), (204, 36, 220), (205, 37, 219), (206, 38, 218),
    (207, 39, 217), (208, 40, 216), (209, 42, 215), (210, 43, 214), (211, 44, 213), (212, 45, 212),
    (213, 47, 211), (214, 48, 210), (215, 49, 208), (216, 51, 207), (217, 52, 206), (218, 54, 204),
    (219, 56, 203), (220, 57, 202), (221, 59, 200), (222, 60, 199), (223, 62, 197), (224, 64, 196),
    (225, 66, 194), (226, 68, 192), (227, 70, 191), (228, 72, 189), (229, 74, 187), (230, 76, 185),
    (231, 78, 183), (232, 80, 180), (233, 82, 178), (234, 85, 175), (235, 87, 173), (236, 90, 171),
    (237, 93, 168), (238, 95, 166), (239, 99, 164), (240, 104, 160), (241, 108, 156), (242, 131, 152),
)
# fmt: on
END_ROW = 243

FEATHER = 6  # half width of the blend's transition, in grid pixels
RING = (3, 14)  # distance of the colour ring's edges from the mask, in grid pixels


@functools.lru_cache(maxsize=1)
def mouth_mask() -> torch.Tensor:
    """The mask on its own grid: bool [256, 256], True where the mouth is generated."""
    mask = torch.zeros(GRID, GRID, dtype=torch.bool)
    for row, first, last in CHEEKS:
        mask[row : LOWER_FACE[0][0], first : last + 1] = True
    ends = [row for row, _, _ in LOWER_FACE[1:]] + [END_ROW]
    for (row, first, last), end in zip(LOWER_FACE, ends):
        mask[row:end, first : last + 1] = True
    return mask


def latent_mask(height: int, width: int) -> torch.Tensor:
    """The mask on a latent grid, channel 32 of the network's input: bool [height, width] (docs/model.md, Mouth mask).

    Bilinear straight from the 256 grid, without antialiasing; a cell is kept where more than half of it is.
    """
    keep = 1 - mouth_mask().float()[None, None]
    return F.interpolate(keep, size=(height, width), mode="bilinear", align_corners=False)[0, 0] <= 0.5


def pixel_mask(height: int, width: int) -> torch.Tensor:
    """The mask on the pixels of a face crop: bool [height, width]; the codec sees these pixels as 0, mid-grey.

    The same rule as :func:`latent_mask`, applied to the crop's size.
    """
    return latent_mask(height, width)


@functools.lru_cache(maxsize=1)
def blend_mask() -> torch.Tensor:
    """Weights for pasting the generated mouth: float [256, 256] over the crop.

    1 inside the mask, 0.5 on its edge, exactly 0 from ``FEATHER`` grid pixels outside on: the transition is the mask
    blurred by a pyramid, half of it inside, half in the rim of kept pixels that the network reproduces.
    """
    weights = mouth_mask().float()[None, None]
    for _ in range(2):
        weights = F.avg_pool2d(weights, FEATHER + 1, 1, FEATHER // 2)
    # Sums of pooled ones differ from 0 and 1 by rounding; exact zeros keep the source's very pixels.
    weights = weights.mul(1 << 12).round().div(1 << 12)
    return weights[0, 0]


@functools.lru_cache(maxsize=1)
def colour_ring() -> torch.Tensor:
    """Kept pixels around the mask, where generated and source colours should agree: float 0 or 1, [256, 256]."""
    inner, outer = (_grown(distance) for distance in RING)
    return (outer - inner)[0, 0]


def _grown(distance: int) -> torch.Tensor:
    return F.max_pool2d(mouth_mask().float()[None, None], 2 * distance + 1, 1, distance)
