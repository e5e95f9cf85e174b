"""Faces pasted into pictures in one call, as the stages do it one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lipforcing.faces.crop import as_input, crop_faces, face_region
from lipforcing.faces.paste import ColourMatch, paste, paste_weights
from lipforcing.media import ImagePicture, Patch


def pictures_of(frames: Tensor) -> list[ImagePicture]:
    return [ImagePicture(frame) for frame in frames]


def crops_of(frames: Tensor, matrices: Tensor, size: tuple[int, int] = (512, 512)) -> Tensor:
    """Crops [T, 3, *size] in [-1, 1] of frames uint8 [T, H, W, 3]."""
    region = face_region(pictures_of(frames), matrices)
    return as_input(crop_faces(region, matrices, size, tuple(frames.shape[1:3])))


def pasted(
    frames: Tensor,
    faces: Tensor,
    matrices: Tensor,
    opacity: Sequence[float] | None = None,
    *,
    match_colour: bool = True,
    fps: float = 0.1,
) -> Tensor:
    """Frames uint8 [T, H, W, 3] with faces laid over them; by default so far apart that colours are not remembered."""
    pictures = pictures_of(frames)
    opacity = [1.0] * len(frames) if opacity is None else opacity

    def source(rows: slice, columns: slice) -> Tensor:
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return torch.stack([picture.region(rows.start, columns.start, height, width) for picture in pictures])

    match = ColourMatch() if match_colour else None
    times = [(n + 1) / fps for n in range(len(frames))]
    patches = paste(faces, matrices, opacity, source, tuple(frames.shape[1:3]), match, times)
    if patches is None:
        return frames.clone()
    parts = zip(pictures, patches.pixels, patches.opacity)
    return torch.stack([p.patched([Patch(patches.top, patches.left, *one)]).image for p, *one in parts])


def weights_of(frames: Tensor, matrices: Tensor, opacity: Sequence[float] | None = None) -> Tensor:
    return paste_weights(matrices, [1.0] * len(frames) if opacity is None else opacity, tuple(frames.shape[1:3]))
