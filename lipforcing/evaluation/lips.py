"""How far the lips are apart, read off pictures by the face mesh (docs/evaluation.md, The gap between the lips)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..faces.face_mesh import MIN_PRESENCE, FaceMesh
from ..faces.face_mesh_network import SIZE
from ..faces.warp import bounds, compose, invert, resize_matrix, sample, shift_matrix, transform
from ..media import Picture

UPPER, LOWER = (82, 13, 312), (87, 14, 317)  # of the inner lips' edges, in the middle third of the mouth
CORNERS = (61, 291)

# The square of the 420 x 560 crop that the mesh looks at, as its own region of interest is: centre (x, y), side.
LOOKS_AT = (210.0, 250.0, 720.0)

#: Gaps below which lips are closed, and changes of the gap from one frame to the next (40 ms) above which they move.
CLOSED, MOVES = 0.02, 0.01


class LipReader:
    """Reads the gap of faces whose place is known; of each picture by itself.

    Args:
        device: where the mesh runs, by default torch's default device.
    """

    def __init__(self, device: torch.device | str | None = None) -> None:
        self._mesh = FaceMesh(device)

    def __call__(self, pictures: Sequence[Picture], matrices: Tensor) -> Tensor:
        """Gaps [T] of the faces in T pictures, see :func:`lip_gap`; NaN where the mesh sees none.

        Args:
            pictures: T.
            matrices: [T, 2, 3], pixel of the picture to pixel of the 420 x 560 crop.
        """
        crops = torch.stack([_looked_at(picture, matrix) for picture, matrix in zip(pictures, matrices)])
        points, presence = (found.cpu() for found in self._mesh(crops.to(self._mesh.device)))
        return lip_gap(points[..., :2]).where(presence >= MIN_PRESENCE, torch.nan)


def lip_gap(points: Tensor) -> Tensor:
    """Distance of the inner lips over the width of the mouth, of mesh points [..., 478, 2]: [...].

    The mean of three distances across the line from corner to corner, so that a shift along it is none; below 0 where
    the mesh lets the lips overlap.
    """
    across = points[..., CORNERS[1], :] - points[..., CORNERS[0], :]
    width = across.norm(dim=-1)
    down = torch.stack([-across[..., 1], across[..., 0]], -1) / width[..., None]
    apart = (points[..., LOWER, :] - points[..., UPPER, :]).mean(-2)
    return (apart * down).sum(-1) / width


def _looked_at(picture: Picture, matrix: Tensor) -> Tensor:
    """What the mesh sees of a face: float [3, 192, 192] in [0, 1], the picture's border repeated beyond it."""
    x, y, side = LOOKS_AT
    scale = side / SIZE
    mesh_to_crop = torch.tensor([[scale, 0.0, x - scale * SIZE / 2], [0.0, scale, y - scale * SIZE / 2]])
    to_picture = compose(invert(matrix), mesh_to_crop)
    ends = torch.tensor([[0.0, 0.0], [SIZE, 0.0], [0.0, SIZE], [SIZE, SIZE]])
    x0, y0, x1, y1 = bounds(transform(to_picture, ends), (picture.height, picture.width))
    if x1 <= x0 or y1 <= y0:
        return torch.zeros(3, SIZE, SIZE)
    pixels = picture.region(y0, x0, y1 - y0, x1 - x0)[None]
    to_pixels = compose(shift_matrix(-x0, -y0), to_picture)
    step = max(1, int(to_picture[:, :2].norm(dim=0).min() + 0.25))
    if step > 1:  # bilinear sampling would skip pixels and alias
        pixels = F.avg_pool2d(pixels, step, ceil_mode=True)
        to_pixels = compose(resize_matrix((step, step), (1, 1)), to_pixels)
    return sample(pixels, to_pixels[None], (SIZE, SIZE), "border")[0]
