"""How sharp the generated mouth is, against the reference's."""

from __future__ import annotations

import torch
from torch import Tensor

from ..faces.align import CROP_SIZE
from ..faces.mask import GRID, blend_mask
from ..faces.warp import bounds, compose, invert, resize_matrix, sample, shift_matrix, transform
from ..media import Picture
from .pixels import LUMA


class Sharpness:
    """Gradient energy of grey levels where the picture is wholly generated, at the pictures' own resolution."""

    def __init__(self) -> None:
        self._energies = [0.0, 0.0]

    def update(self, result: Picture, reference: Picture, matrix: Tensor) -> None:
        """Continue with the next frame: pictures of one size, and [2, 3], their pixels to the 420 x 560 crop."""
        window = bounds(transform(invert(matrix), _ends()), (result.height, result.width))
        x0, y0, x1, y1 = window
        if x1 <= x0 + 1 or y1 <= y0 + 1:
            return
        to_grid = compose(resize_matrix(CROP_SIZE, (GRID, GRID)), compose(matrix, shift_matrix(x0, y0)))
        inside = sample(blend_mask()[None, None], to_grid[None], (y1 - y0, x1 - x0))[0, 0] > 0.999
        for side, picture in enumerate((result, reference)):
            grey = (picture.region(y0, x0, y1 - y0, x1 - x0) * LUMA[:, None, None]).sum(0)
            self._energies[side] += float(gradient_energy(grey)[inside].sum())

    @property
    def ratio(self) -> float | None:
        """Energy of the result over that of the reference; None where the reference has none, as before any frame."""
        return self._energies[0] / self._energies[1] if self._energies[1] else None


def gradient_energy(grey: Tensor) -> Tensor:
    """Squared differences to the next pixel right and below, summed, of [h, w]: [h, w]; 0 beyond the last ones."""
    energy = torch.zeros_like(grey)
    energy[:, :-1] += grey.diff(dim=1).square()
    energy[:-1] += grey.diff(dim=0).square()
    return energy


def _ends() -> Tensor:
    """Corners [4, 2] of what is generated, (x, y) in the crop."""
    rows, columns = (blend_mask() > 0).any(1).nonzero().ravel(), (blend_mask() > 0).any(0).nonzero().ravel()
    corners = [[float(x), float(y)] for x in (columns[0], columns[-1]) for y in (rows[0], rows[-1])]
    return transform(resize_matrix((GRID, GRID), CROP_SIZE), torch.tensor(corners))
