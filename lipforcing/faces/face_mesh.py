"""478 points of a face with MediaPipe's mesh with attention, whose weights come with the package.

A *region of interest* (ROI) is a turned square around a face: float [..., 4] of centre x, centre y, side (pixels of the
picture) and angle (radians, of the crop's x axis in the picture, y down). The network sees it as a *crop* of 192 x 192.
Only the pixels under the ROIs are ever touched: whoever holds the pictures asks :func:`windows` which rectangles these
are, and hands them over as *regions* with their origins.

    rois = roi_from_detection(boxes, keypoints)                # or roi_from_landmarks(the points of the frame before)
    points, presence, colours = mesh.landmarks(*regions(frames, rois), rois)
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from .blazeface import SUBPIXELS
from .face_mesh_network import SIZE, AttentionMesh
from .warp import transform

WEIGHTS = Path(__file__).parent / "weights" / "attention_mesh.safetensors"
MIN_PRESENCE = 0.5  # below, MediaPipe gives a face up
GROWTH = 1.5  # side of the ROI as a multiple of the longer side of the face's box
EYE_CORNERS = (33, 263)  # the outer ones, left and right in the picture
BLUR = 4  # pixels of the crop that colours are means of
BATCH = 8  # crops that go through the network at once


class FaceMesh:
    """The mesh with the weights of the package.

    Args:
        device: where it runs, by default torch's default device.
        brows_only: see ``AttentionMesh``; there are 468 points then.
    """

    def __init__(self, device: torch.device | str | None = None, *, brows_only: bool = False) -> None:
        self.brows_only = brows_only
        network = AttentionMesh()
        network.load_state_dict(load_file(WEIGHTS))
        self.device = torch.device(device or torch.get_default_device())
        self.network = network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points and presence of the face in each crop.

        Args:
            crops: float [B, 3, 192, 192] RGB in [0, 1].

        Returns:
            points [B, 478, 3]: x and y in pixels of the crop, z about in the same unit, smaller towards the camera;
            presence [B], 0 to 1, of a face in the crop, see ``MIN_PRESENCE``.
        """
        parts = [self.network(part, self.brows_only) for part in crops.split(BATCH)]
        points, logits = (torch.cat(column) for column in zip(*parts))
        return points, logits.sigmoid()

    def landmarks(
        self, regions: torch.Tensor, origins: torch.Tensor, rois: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Points, presence and colours of the face in each ROI.

        Args:
            regions: [B, 3, h, w] RGB, uint8 or float in [0, 1]: the pixels of :func:`windows`.
            origins: [B, 2], (x, y) of each region's first pixel in its picture.
            rois: [B, 4].

        Returns:
            points [B, 478, 3] in pixels of the picture, presence [B], as of a call, and the points' :func:`texture`
            [B, 478, 3]; on this object's device.
        """
        regions, origins, rois = (tensor.to(self.device) for tensor in (regions, origins, rois))
        crops = crop(regions, origins, rois)
        points, presence = self(crops)
        return project(points, rois), presence, texture(crops, points)


def roi_from_detection(boxes: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
    """ROIs [..., 4] of detections with boxes [..., 4] and keypoints [..., 6, 2], see ``blazeface.Detection``."""
    return _roi(boxes[..., :2], boxes[..., 2:], keypoints[..., 0, :], keypoints[..., 1, :])


def roi_from_landmarks(points: torch.Tensor) -> torch.Tensor:
    """ROIs [..., 4] in the next frame of faces whose points [..., 478, 2 or 3] in this one are known."""
    places = points[..., :2]
    left, right = EYE_CORNERS
    return _roi(places.amin(-2), places.amax(-2), places[..., left, :], places[..., right, :])


def _roi(low: torch.Tensor, high: torch.Tensor, left_eye: torch.Tensor, right_eye: torch.Tensor) -> torch.Tensor:
    """The upright box from ``low`` to ``high``, made square and larger, turned about its centre as the eyes are."""
    side = GROWTH * (high - low).amax(-1, keepdim=True)
    x, y = (right_eye - left_eye).unbind(-1)
    return torch.cat([(low + high) / 2, side, torch.atan2(y, x)[..., None]], -1)


def crop_to_image(rois: torch.Tensor) -> torch.Tensor:
    """Pixel of the crop to pixel of the picture, integers for pixel centres in both: [..., 2, 3].

    MediaPipe's convention, which decides agreement with it: pixel (96, 96), not the middle between the pixels 95 and
    96, shows the centre of the ROI.
    """
    scale, angle = rois[..., 2] / SIZE, rois[..., 3]
    cos, sin = scale * angle.cos(), scale * angle.sin()
    linear = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return torch.cat([linear, rois[..., :2, None] - linear.sum(-1, keepdim=True) * (SIZE / 2)], -1)


def windows(rois: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Which pixels of pictures of ``size`` (height, width) the crops of ROIs [B, 4], at least one, are made of.

    Returns:
        origins, int64 [B, 2] on the CPU, (x, y) of the first pixel; (height, width) of the windows, the same for all.
        They lie inside the picture.
    """
    last = SIZE - 1
    corners = torch.tensor([[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]])
    corners = transform(crop_to_image(rois.cpu()), corners)
    limit = torch.tensor([size[1], size[0]])
    low = corners.amin(1).floor().long().clamp(min=0).minimum(limit - 1)
    high = corners.amax(1).floor().long().add(2).clamp(min=1).minimum(limit)  # bilinear sampling reads one more
    extent = (high - low).clamp(min=1).amax(0)
    return low.minimum(limit - extent), (int(extent[1]), int(extent[0]))


def regions(frames: torch.Tensor, rois: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Regions [B, 3, h, w] and origins [B, 2] of ROIs [B, 4] from whole frames [B, H, W, 3], one for each."""
    origins, (height, width) = windows(rois, tuple(frames.shape[1:3]))
    cut = [frame[y : y + height, x : x + width] for frame, (x, y) in zip(frames, origins.tolist())]
    return torch.stack(cut).permute(0, 3, 1, 2), origins


def crop(regions: torch.Tensor, origins: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
    """Crops of ROIs, bilinear, border pixels repeated beyond the picture.

    Args:
        regions, origins, rois: as of :meth:`FaceMesh.landmarks`, on one device.

    Returns:
        float [B, 3, 192, 192] in [0, 1]; read at 1/32 pixel and in whole grey levels of 8 bits, as MediaPipe does.
    """
    steps = torch.arange(SIZE, device=rois.device, dtype=rois.dtype)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    places = transform(crop_to_image(rois), torch.stack([x, y], -1).flatten(0, 1))
    places = (places * SUBPIXELS).round() / SUBPIXELS - origins[:, None]
    extent = places.new_tensor([regions.shape[-1], regions.shape[-2]])
    grid = ((places + 0.5) * (2 / extent) - 1).unflatten(1, (SIZE, SIZE))
    levels = F.grid_sample(regions.float(), grid, padding_mode="border", align_corners=False)
    return (levels if regions.dtype == torch.uint8 else levels * 255).add(0.5).floor() / 255


def texture(crops: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Colours [B, P, 3] of crops [B, 3, 192, 192] at points [B, P, 2 or 3] of them, each of some four pixels around."""
    small = F.avg_pool2d(crops, BLUR)
    grid = (points[..., :2] + 0.5) * (2 / SIZE) - 1
    return F.grid_sample(small, grid[:, None], padding_mode="border", align_corners=False)[:, :, 0].transpose(1, 2)


def project(points: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
    """Points [B, P, 3] in pixels of the crops of ROIs [B, 4] to pixels of the picture, z in the same unit."""
    places = transform(crop_to_image(rois), points[..., :2])
    return torch.cat([places, points[..., 2:] * (rois[:, None, 2:3] / SIZE)], -1)
