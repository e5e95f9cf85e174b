"""The face crop that the weights were trained on: template, similarity transform and cropping.

Two pixel grids: the *image* (a source frame) and the *crop*, 420 wide and 560 high, in which the face's anchors lie at
:data:`TEMPLATE`. The network sees the crop stretched to a square. In all of them integer coordinates are pixel centres;
matrices map image to crop unless their name says otherwise.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..errors import InputError
from .warp import bounds, compose, invert, resize, resize_matrix, sample, shift_matrix, transform

#: (height, width) of the crop (docs/model.md, Face crop).
CROP_SIZE = (560, 420)

#: Where left brow, right brow and nose lie in the crop, (x, y).
TEMPLATE = torch.tensor([[95.2, 112.0], [324.8, 112.0], [210.0, 224.0]])

#: Where a face box lies in the crop: centre (x, y) and size (w, h); YuNet's boxes, averaged over six real clips.
BOX_CENTRE, BOX_SIZE = (210.0, 218.0), (395.0, 507.0)

FILL = 127.0  # grey level outside the frame


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


def centred_matrix(height: int, width: int) -> torch.Tensor:
    """Image to crop [2, 3] that takes the largest centred part of the frame with the crop's proportions."""
    scale = max(CROP_SIZE[0] / height, CROP_SIZE[1] / width)
    return _scale_about((width - 1) / 2, (height - 1) / 2, scale, (CROP_SIZE[1] - 1) / 2, (CROP_SIZE[0] - 1) / 2)


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


def crop_faces(frames: torch.Tensor, matrices: torch.Tensor, size: tuple[int, int] = (512, 512)) -> torch.Tensor:
    """Warp the face of every frame into the crop and stretch it to what the network sees.

    The warp to 420 x 560 is bilinear, as in training, with grey 127 outside the frame; frames of much higher resolution
    are averaged down first. The stretch to ``size`` is bicubic and antialiased. Footage that is a crop already
    (:func:`full_frame_matrix`) is resized in one step, since the detour over 420 columns would cost resolution.

    Args:
        frames: uint8 [T, H, W, 3].
        matrices: [T, 2, 3], image to crop.
        size: (height, width) of the result.

    Returns:
        float32 [T, 3, *size] in [-1, 1]; column x of the crop is column (x + 0.5) size[1] / 420 - 0.5 of the result.
    """
    whole = full_frame_matrix(*frames.shape[1:3])
    crops = [
        _pixels(frame) if torch.equal(matrix, whole) else _warp(frame, matrix)
        for frame, matrix in zip(frames, matrices.cpu())
    ]
    return torch.cat([resize(crop[None], size) for crop in crops]).div(127.5).sub(1).clamp(-1, 1)


def _pixels(frame: torch.Tensor) -> torch.Tensor:
    return frame.permute(2, 0, 1).float()


def _warp(frame: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """uint8 [H, W, 3] to float [3, 560, 420] in 0..255. One frame at a time: windows differ in size."""
    crop_to_image = invert(matrix)
    height, width = CROP_SIZE
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]]) - 0.5
    step = int(crop_to_image[:, :2].norm(dim=0).min() + 0.25)  # whole image pixels per crop pixel
    x0, y0, x1, y1 = bounds(transform(crop_to_image, corners), frame.shape[:2], margin=1 + step)
    if x1 <= x0 or y1 <= y0:
        return torch.full((3, *CROP_SIZE), FILL, device=frame.device)
    window = _pixels(frame[y0:y1, x0:x1]) - FILL
    to_window = compose(shift_matrix(-x0, -y0), crop_to_image)
    if step > 1:
        # Bilinear sampling would skip pixels and alias.
        window = F.avg_pool2d(window, step, ceil_mode=True)
        to_window = compose(resize_matrix((step, step), (1, 1)), to_window)
    return sample(window, to_window, CROP_SIZE) + FILL
