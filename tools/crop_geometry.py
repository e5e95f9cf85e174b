"""Where the reference pasted its mouths, measured in our face crop.

The published pairs (``<name>_input.mp4`` and ``<name>_ours.mp4``, the output of the reference student) differ inside
the mouth mask that the reference laid over its own crop of each frame. Their difference, warped into our crop and
averaged, therefore shows that mask; where our crop is the reference's, it lies at its own place. On simulated
composites of real clips, pasted and encoded as the reference does, that is right within 0.5 pixels and 0.005 of scale.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from lipforcing.faces.align import CROP_SIZE
from lipforcing.faces.crop import crop_faces, face_region
from lipforcing.faces.mask import mouth_mask
from lipforcing.faces.warp import transform
from lipforcing.media import ImagePicture

MARGIN = 42  # crop pixels next to its border where the reference fades its paste out
ABOVE = 190  # rows of the crop that the mask leaves alone
BLUR = 9  # width of the box that is slid over the differences, twice
REACH = 3.0  # crop pixels on either side of the outline between which the step is taken
CENTRE = torch.tensor([210.0, 330.0])  # about the outline's own centre, so that shift and scale are independent


@dataclass(frozen=True)
class Placement:
    """Place of the mask in our crop against where it belongs: shift of ``CENTRE`` in crop pixels, and scale."""

    dx: float
    dy: float
    scale: float

    def matrix(self) -> torch.Tensor:
        """[2, 3], from a point of the reference's crop to where ours shows it."""
        shift = CENTRE + torch.tensor([self.dx, self.dy]) - self.scale * CENTRE
        return torch.tensor([[self.scale, 0.0, shift[0]], [0.0, self.scale, shift[1]]])


def difference_map(before: torch.Tensor, after: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference in the crop, in grey levels, [560, 420].

    The published files differ in how their colours were encoded, so those of ``before`` are first mapped to those of
    ``after`` by the affine map that fits best above the mask.

    Args:
        before, after: uint8 [T, H, W, 3], the same moments.
        matrices: [T, 2, 3], frame to crop.
    """
    before, after = (_crops(frames, matrices) for frames in (before, after))
    ones = torch.ones(*before.shape[:3], 1)
    before = torch.cat([before, ones], -1)
    known, wanted = (crops[:, :ABOVE:4, ::4].flatten(0, 2) for crops in (before, after))
    colours = torch.linalg.lstsq(known, wanted).solution
    return (before @ colours - after).abs().mean((0, -1))


def _crops(frames: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Crops [T, 560, 420, 3] of frames uint8 [T, H, W, 3], in grey levels from the middle."""
    region = face_region([ImagePicture(frame) for frame in frames], matrices)
    return crop_faces(region, matrices, CROP_SIZE, tuple(frames.shape[1:3])).float().sub(127.5).movedim(1, -1)


def log_map(difference: torch.Tensor) -> torch.Tensor:
    """What :func:`place` reads: the smoothed logarithm of differences, so that clips of any strength weigh alike.

    Smoothed afterwards: the logarithm of a smoothed step is steepest outside of it.
    """
    levels = (difference + 0.1).log()[None, None]
    for _ in range(2):
        levels = F.avg_pool2d(levels, BLUR, 1, BLUR // 2, count_include_pad=False)
    return levels[0, 0]


@functools.lru_cache(maxsize=1)
def outline() -> tuple[torch.Tensor, torch.Tensor]:
    """Points [N, 2] along the mask's outline in the crop, away from the crop's border, and inward normals [N, 2]."""
    mask = mouth_mask().float()[None, None]
    mask = F.interpolate(mask, size=CROP_SIZE, mode="bilinear", align_corners=False)
    for _ in range(2):
        mask = F.avg_pool2d(mask, 5, 1, 2)
    dy, dx = torch.gradient(mask[0, 0])
    slope = dx.hypot(dy)
    height, width = CROP_SIZE
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    inside = (x >= MARGIN) & (x < width - MARGIN) & (y >= MARGIN) & (y < height - MARGIN)
    chosen = (slope > 0.5 * slope.max()) & inside & ((x + 2 * y) % 5 == 0)  # a fifth of them says as much
    normals = torch.stack([dx, dy], -1)[chosen]
    return torch.stack([x, y], -1)[chosen].float(), normals / normals.norm(dim=-1, keepdim=True)


def steps(levels: torch.Tensor, matrices: torch.Tensor, along: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Rise of a log map across each outline point moved by matrices [K, 2, 3] and then along its normal: [K, N]."""
    points, normals = outline()
    places = transform(matrices, points) + along * normals
    ends = [_bilinear(levels, places + side * normals) for side in (REACH, -REACH)]
    return ends[0] - ends[1]


def _bilinear(image: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Values [K, N] of an image at points [K, N, 2]."""
    grid = (points + 0.5) * 2 / points.new_tensor([image.shape[1], image.shape[0]]) - 1
    return F.grid_sample(image[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]


def place(levels: torch.Tensor) -> Placement:
    """The placement at which the outline's mean step is largest: coarse grid, then ever finer about the best."""
    best, step = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([4.0, 4.0, 0.02])
    grid = torch.cartesian_prod(*[torch.arange(-4.0, 5.0)] * 3)
    for _ in range(5):
        candidates = best + grid * step
        matrices = torch.stack([Placement(*one).matrix() for one in candidates.tolist()])
        best = candidates[steps(levels, matrices).mean(1).argmax()]
        step = step / 2.5
    return Placement(*best.tolist())


#: Straight or smooth parts of the outline, by where they lie in the crop: left, top, right, bottom.
EDGES = {
    "left cheek, top": (50, 195, 112, 220),
    "right cheek, top": (306, 195, 370, 220),
    "nose, left": (118, 222, 138, 268),
    "nose, right": (282, 222, 302, 268),
    "nose, below": (142, 270, 278, 290),
    "chin, left": (42, 400, 130, 518),
    "chin, right": (290, 400, 378, 518),
}


def edge_offsets(levels: torch.Tensor, reach: int = 16) -> dict[str, float]:
    """How far inside (positive) of its place each part of the outline appears, in crop pixels."""
    points, _ = outline()
    tried = torch.arange(-reach, reach + 0.25, 0.5)
    rises = steps(levels, torch.eye(2, 3).expand(len(tried), -1, -1), tried[:, None, None])
    found = {}
    for name, (left, top, right, bottom) in EDGES.items():
        chosen = (points[:, 0] >= left) & (points[:, 0] < right) & (points[:, 1] >= top) & (points[:, 1] < bottom)
        found[name] = float(tried[rises[:, chosen].mean(1).argmax()])
    return found
