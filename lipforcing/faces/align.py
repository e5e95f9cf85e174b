"""The face crop that the weights were trained on: its template and the transforms into it.

Two pixel grids: the *image* (a source frame) and the *crop*, 420 wide and 560 high, in which the face's anchors lie at
:data:`TEMPLATE`. The network sees the crop stretched to a square. In all of them integer coordinates are pixel centres;
matrices map image to crop unless their name says otherwise.
"""

from __future__ import annotations

import torch

from ..errors import InputError
from .warp import invert, resize_matrix, transform

#: (height, width) of the crop (docs/model.md, Face crop).
CROP_SIZE = (560, 420)

#: Where left brow, right brow and nose lie in the crop, (x, y).
TEMPLATE = torch.tensor([[95.2, 112.0], [324.8, 112.0], [210.0, 224.0]])

#: Where a face box lies in the crop: centre (x, y) and size (w, h). YuNet's boxes in the crop that the mesh gives, mean
#: of six real clips, across by symmetry; over the clips, height spreads by 4 % and width by 6 %.
BOX_CENTRE, BOX_SIZE = (210.0, 215.0), (406.0, 551.0)


def similarity(points: torch.Tensor, template: torch.Tensor = TEMPLATE) -> torch.Tensor:
    """Rotation, uniform scale and shift that lay ``points`` over ``template`` (Procrustes, never a reflection).

    Both sets are centred; the rotation minimises the squared distances (in the plane that is one arctangent, where the
    general case needs a singular value decomposition and a check for reflection); the scale is the ratio of the sets'
    root mean square radii, as the weights were trained with, not the least-squares scale (docs/model.md, Face crop).

    Args:
        points: [..., P, 2], image coordinates.
        template: [P, 2], crop coordinates.

    Returns:
        [..., 2, 3], image to crop.
    """
    template = template.to(points)
    source_centre, target_centre = points.mean(-2, keepdim=True), template.mean(-2, keepdim=True)
    source, target = points - source_centre, template - target_centre
    dot = (source * target).sum((-1, -2))
    cross = (source[..., 0] * target[..., 1] - source[..., 1] * target[..., 0]).sum(-1)
    angle = torch.atan2(cross, dot)
    scale = target.norm() / source.flatten(-2).norm(dim=-1)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    linear = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    shift = target_centre.transpose(-1, -2) - linear @ source_centre.transpose(-1, -2)
    return torch.cat([linear, shift], -1)


def full_frame_matrix(height: int, width: int) -> torch.Tensor:
    """Image to crop [2, 3] for footage that already is a face crop: frame edges map to crop edges, stretching it."""
    return resize_matrix((height, width), CROP_SIZE)


def box_matrix(x0: float, y0: float, x1: float, y1: float) -> torch.Tensor:
    """Image to crop [2, 3] for an upright face whose box is known: hairline or forehead to chin, ear to ear.

    The box's centre goes to ``BOX_CENTRE`` and its area becomes that of ``BOX_SIZE``; its proportions are free.

    Args:
        x0, y0, x1, y1: left, top, right, bottom in pixels of the image.

    Raises:
        InputError: the box is empty.
    """
    if x1 <= x0 or y1 <= y0:
        raise InputError(f"The face box {x0:g},{y0:g},{x1:g},{y1:g} is empty; give left,top,right,bottom in pixels.")
    scale = (BOX_SIZE[0] * BOX_SIZE[1] / ((x1 - x0) * (y1 - y0))) ** 0.5
    return _scale_about((x0 + x1) / 2, (y0 + y1) / 2, scale, *BOX_CENTRE)


def box_points(x0: float, y0: float, x1: float, y1: float) -> torch.Tensor:
    """Where the anchors lie in the image for a face whose box is known (``box_matrix``): [3, 2]."""
    return transform(invert(box_matrix(x0, y0, x1, y1)[None])[0], TEMPLATE)


def _scale_about(x: float, y: float, scale: float, to_x: float, to_y: float) -> torch.Tensor:
    return torch.tensor([[scale, 0.0, to_x - scale * x], [0.0, scale, to_y - scale * y]])
