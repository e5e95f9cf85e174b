"""The network of MediaPipe's face mesh with attention.

Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time" (2020): a trunk predicts all 468
points; patches of its features, cut out where these points put the lips and the eyes, give those parts once more and
finer, and the irises.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .blazeface_networks import BlazeBlock, SameConv2d

SIZE = 192  # side of the input in pixels
POINTS = 468
REDUCTION = 4  # input pixels per cell of the features that patches are cut from
PATCH = 16  # side of a patch in cells
MARGIN = 1.5  # side of a patch as a multiple of what it is to show

# fmt: off
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409, 78, 95, 88, 178, 87, 14,
    317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415, 76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306,
    184, 74, 73, 72, 11, 302, 303, 304, 408, 62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12,
    268, 271, 272, 407,
)
# "Left" is left in the picture. The first 16 points of an eye are its contour; the last ones are the brow.
LEFT_EYE = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 130, 25, 110, 24, 23, 22, 26, 112,
    243, 247, 30, 29, 27, 28, 56, 190, 226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193,
)
RIGHT_EYE = (
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 359, 255, 339, 254, 253, 252, 256,
    341, 463, 467, 260, 259, 257, 258, 286, 414, 446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442,
    441, 413, 265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336,
    285, 417,
)
# fmt: on
CONTOUR = 16
IRIS = 5
# The two points of each part whose connection is level in its patch.
LIPS_LEVEL, LEFT_EYE_LEVEL, RIGHT_EYE_LEVEL = (61, 291), (33, 133), (362, 263)


def _blocks(inputs: int, *stages: tuple[int, int, int]) -> nn.Sequential:
    """Stages of (number of blocks, width, stride of the first one)."""
    blocks = []
    for count, width, stride in stages:
        for number in range(count):
            blocks.append(BlazeBlock(inputs, width, 1 if number else stride, nn.PReLU(width)))
            inputs = width
    return nn.Sequential(*blocks)


def _narrow() -> nn.Sequential:
    """What comes before the last convolution of every head."""
    return nn.Sequential(nn.Conv2d(128, 32, 1), nn.PReLU(32), BlazeBlock(32, 32, 1, nn.PReLU(32)))


def _patch_trunk() -> nn.Sequential:
    return _blocks(32, (2, 32, 1), (3, 64, 2), (1, 128, 2))


def _patch_head(points: int) -> nn.Sequential:
    return nn.Sequential(_blocks(128, (2, 128, 1), (3, 128, 2)), _narrow(), nn.Conv2d(32, 2 * points, 2))


class Eye(nn.Module):
    """Eye and iris from one patch."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _patch_trunk()
        self.eye = _patch_head(len(LEFT_EYE))
        self.iris = _patch_head(IRIS)

    def forward(self, patch: torch.Tensor, iris: bool = True) -> torch.Tensor:
        """[B, 32, 16, 16] to [B, 2 * (71 + 5), 1, 1], without ``iris`` to [B, 2 * 71, 1, 1]."""
        features = self.trunk(patch)
        return torch.cat([self.eye(features), self.iris(features)], 1) if iris else self.eye(features)


class AttentionMesh(nn.Module):
    """All points of one face per crop, those of lips and eyes refined."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv2d(3, 16, 3, 2), nn.PReLU(16))
        self.early = _blocks(16, (2, 16, 1), (1, 32, 2))
        self.late = _blocks(32, (2, 32, 1), (3, 64, 2), (3, 128, 2), (3, 128, 2), (3, 128, 2))
        self.narrow = _narrow()
        self.mesh = nn.Conv2d(32, 3 * POINTS, 3)
        self.presence = nn.Conv2d(32, 1, 3)
        self.lips = nn.Sequential(_patch_trunk(), _patch_head(len(LIPS)))
        self.left_eye = Eye()
        self.right_eye = Eye()

    def forward(self, crops: torch.Tensor, brows_only: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Points and logit of the presence of a face.

        Args:
            crops: [B, 3, 192, 192] RGB in [0, 1].
            brows_only: refine brows and eyes alone, which is all that alignment needs: lips are those of the mesh,
                irises are left out, and a third of the work is saved.

        Returns:
            points [B, 478, 3], x and y in pixels of the crop, z about in the same unit, smaller towards the camera:
            the mesh, then the left and the right iris, each centre first; logits [B]. With ``brows_only`` 468 points.
        """
        early = self.early(self.stem(crops))
        last = self.narrow(self.late(early))
        mesh = self.mesh(last).view(-1, POINTS, 3)
        places, depths = mesh[..., :2].clone(), mesh[..., 2]
        irises, iris_depths = [], []
        for part, branch, level in (
            (LIPS, self.lips, LIPS_LEVEL),
            (LEFT_EYE, self.left_eye, LEFT_EYE_LEVEL),
            (RIGHT_EYE, self.right_eye, RIGHT_EYE_LEVEL),
        ):
            if brows_only and part is LIPS:
                continue
            patch_to_crop = _patch_to_crop(mesh[..., :2], part, level)
            patch = _cut(early, patch_to_crop)
            found = (branch(patch, iris=False) if brows_only else branch(patch)).view(len(crops), -1, 2)
            found = found @ patch_to_crop[..., :2].mT + patch_to_crop[..., None, :, 2]
            places[:, part] = found[:, : len(part)]
            if part is not LIPS and not brows_only:
                irises.append(found[:, len(part) :])
                iris_depths.append(depths[:, part[:CONTOUR]].mean(1, keepdim=True).expand(-1, IRIS))
        points = torch.cat([torch.cat([places, *irises], 1), torch.cat([depths, *iris_depths], 1)[..., None]], -1)
        return points, self.presence(last).flatten()


def _patch_to_crop(places: torch.Tensor, part: tuple[int, ...], level: tuple[int, int]) -> torch.Tensor:
    """The patch around a part of the face: turned as its level line, its box grown by ``MARGIN`` on either axis.

    Args:
        places: [B, 468, 2] in pixels of the crop.

    Returns:
        [B, 2, 3], patch coordinates (0 to 64, edges, a cell is 4 wide) to pixels of the crop.
    """
    across = places[:, level[1]] - places[:, level[0]]
    cos, sin = (across / across.norm(dim=-1, keepdim=True)).unbind(-1)
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)  # patch to crop
    upright = places[:, part] @ turn
    low, high = upright.amin(1), upright.amax(1)
    side = PATCH * REDUCTION
    linear = turn * ((high - low) * (MARGIN / side))[:, None, :]
    centre = turn @ ((low + high) / 2)[..., None]
    return torch.cat([linear, centre - linear.sum(-1, keepdim=True) * (side / 2)], -1)


def _cut(features: torch.Tensor, patch_to_crop: torch.Tensor) -> torch.Tensor:
    """Bilinear samples of features [B, 32, 48, 48] at the cells of the patch: [B, 32, 16, 16].

    A cell beyond the centres of the outermost feature cells is 0.
    """
    centres = (torch.arange(PATCH, device=features.device, dtype=features.dtype) + 0.5) * REDUCTION
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    places = torch.stack([x, y], -1) @ patch_to_crop[:, None, :, :2].mT + patch_to_crop[:, None, None, :, 2]
    grid = (places / REDUCTION - 0.5) * (2 / (features.shape[-1] - 1)) - 1
    inside = (grid.abs() <= 1).all(-1)[:, None]
    return F.grid_sample(features, grid, padding_mode="border", align_corners=True) * inside
