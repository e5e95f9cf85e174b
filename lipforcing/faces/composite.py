"""Pastes generated mouths into the source frames and leaves every other pixel as it is.

Coordinates: *face* pixels of the generated square, *grid* cells of the 256 x 256 mask, and the 420 x 560 *crop* are one
picture at three sizes, related by half-pixel-centred resizing; the track's matrices map *frame* pixels to crop pixels.
Integers are pixel centres throughout.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch

from .align import CROP_SIZE
from .mask import GRID, blend_mask, colour_ring
from .track import FaceTrack
from .warp import bounds, compose, invert, resize, resize_matrix, sample, shift_matrix, transform

MAX_GAIN = 1.25  # contrast correction stays within 1 / MAX_GAIN .. MAX_GAIN
BORDER = 2  # frame pixels next to the frame's border that stay the source's
PRIOR = 12.0  # grey levels of contrast in the ring below which its evidence about contrast counts little


def composite(
    frames: torch.Tensor, faces: torch.Tensor, track: FaceTrack, *, match_colour: bool = True
) -> torch.Tensor:
    """Blend the mouth region of generated faces into their frames.

    A frame's pixel is source + weight * (generated - source), rounded, where weight is the warped
    :func:`~lipforcing.faces.mask.blend_mask` times the frame's opacity; where it is 0 the source's very pixel stays.
    The generated face is first resized, antialiased, to its size in the frame, then turned and shifted bilinearly.

    Args:
        frames: uint8 [T, H, W, 3].
        faces: float [T, 3, h, w] in [-1, 1], generated crops of these frames as ``align.crop_faces`` lays them out.
        track: of these frames.
        match_colour: fit each channel's brightness and contrast to the source on the kept ring around the mask.

    Returns:
        uint8 [T, H, W, 3], on the device of ``frames``.
    """
    result = frames.clone()
    for i, (window, matrix) in enumerate(_windows(track)):
        if window is None:
            continue
        rows, columns = window
        weight, ring = _warp_masks(matrix, window, track.frame_size, faces.device)
        source = frames[i, rows, columns].to(faces.device).permute(2, 0, 1).float()
        generated = _warp_face(faces[i], matrix, source.shape[-2:])
        if match_colour:
            generated = _match(generated, source, ring)
        weight = weight * float(track.opacity[i])
        blended = source + weight * (generated.clamp(0, 255) - source)
        result[i, rows, columns] = blended.round().to(torch.uint8).permute(1, 2, 0).to(frames.device)
    return result


def frame_masks(track: FaceTrack) -> torch.Tensor:
    """The weights with which :func:`composite` blends: float [T, H, W] on the CPU, 0 where the source stays."""
    masks = torch.zeros(len(track), *track.frame_size)
    for i, (window, matrix) in enumerate(_windows(track)):
        if window is not None:
            weight, _ = _warp_masks(matrix, window, track.frame_size, masks.device)
            masks[i][window] = weight * float(track.opacity[i])
    return masks


def _windows(track: FaceTrack) -> Iterator[tuple[tuple[slice, slice] | None, torch.Tensor]]:
    """Per frame the window (rows, columns) that holds mask and ring, None for nothing to do, and crop to window."""
    corners = transform(resize_matrix((GRID, GRID), CROP_SIZE), _support())
    for crop_to_frame, visible in zip(invert(track.matrices.cpu()), track.visible.tolist()):
        x0, y0, x1, y1 = bounds(transform(crop_to_frame, corners), track.frame_size)
        inside = visible and x1 > x0 and y1 > y0
        window = (slice(y0, y1), slice(x0, x1)) if inside else None
        yield window, compose(shift_matrix(-x0, -y0), crop_to_frame)


def _warp_face(face: torch.Tensor, crop_to_window: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Face [3, h, w] in [-1, 1] to the window: [3, *size] in 0..255."""
    scale = crop_to_window[:, :2].norm(dim=0)  # window pixels per crop pixel along x and y
    fitted = tuple(max(1, round(n * float(s))) for n, s in zip(CROP_SIZE, scale.flip(0)))
    face = resize(face[None].float(), fitted)[0].add(1).mul(127.5)
    return sample(face, compose(resize_matrix(CROP_SIZE, fitted), invert(crop_to_window)), size, "border")


def _warp_masks(
    crop_to_window: torch.Tensor, window: tuple[slice, slice], frame_size: tuple[int, int], device: torch.device
) -> torch.Tensor:
    """Blend weights and ring in the window: [2, h, w].

    They end a little inside of the frame: next to its border the crop is mixed with the grey beyond.
    """
    to_grid = compose(resize_matrix(CROP_SIZE, (GRID, GRID)), invert(crop_to_window))
    size = tuple(span.stop - span.start for span in window)
    masks = sample(torch.stack([blend_mask(), colour_ring()]).to(device), to_grid, size)
    for span, length, axis in zip(window, frame_size, ((-1, 1), (1, -1))):
        at = torch.arange(span.start, span.stop, device=device)
        inside = torch.minimum(at, length - 1 - at).sub(BORDER).div(BORDER).clamp(0, 1)
        masks *= inside.view(axis)
    return masks


def _match(generated: torch.Tensor, source: torch.Tensor, ring: torch.Tensor) -> torch.Tensor:
    """Per channel gain and offset that bring ``generated`` [3, h, w] nearest to ``source`` where ``ring`` [h, w] is.

    Weighted least squares with a prior for gain 1: a flat ring says nothing about contrast.
    """
    total = ring.sum()
    if total < 1:  # the ring lies outside the frame
        return generated

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (values * ring).sum((-1, -2), keepdim=True) / total

    generated_mean, source_mean = mean(generated), mean(source)
    deviation = generated - generated_mean
    covariance = mean(deviation * (source - source_mean))
    variance = mean(deviation.square())
    gain = (covariance + PRIOR**2) / (variance + PRIOR**2)
    return deviation * gain.clamp(1 / MAX_GAIN, MAX_GAIN) + source_mean


@functools.lru_cache(maxsize=1)
def _support() -> torch.Tensor:
    """Corners [4, 2] of the part of the grid that blend or ring touch, (x, y)."""
    used = (blend_mask() + colour_ring()) > 0
    rows, columns = used.any(1).nonzero().ravel(), used.any(0).nonzero().ravel()
    x0, x1, y0, y1 = columns[0] - 1, columns[-1] + 1, rows[0] - 1, rows[-1] + 1
    return torch.stack([torch.stack([x, y]) for x in (x0, x1) for y in (y0, y1)]).float()
