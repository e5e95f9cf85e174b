"""Generated mouths as patches for the pictures they belong to: masks, colours and geometry, batched on the device.

Coordinates: *face* pixels of the generated square, *grid* cells of the 256 x 256 mask, and the 420 x 560 *crop* are one
picture at three sizes, related by half-pixel-centred resizing; matrices map *image* pixels to crop pixels. Integers are
pixel centres throughout.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..timeline import FPS
from .align import CROP_SIZE
from .mask import GRID, blend_mask, colour_ring
from .warp import bounds, compose, invert, resize_bytes, resize_matrix, sample, shift_matrix, transform

MAX_GAIN = 1.25  # contrast correction stays within 1 / MAX_GAIN .. MAX_GAIN
BORDER = 2  # pixels next to the picture's border that stay the source's
PRIOR = 12 / 255  # contrast in the ring below which its evidence about contrast counts little
STEP = 4  # every so many rows and columns say enough about colours
MARGIN = 8  # rows of the face around those that are shown, for what resizes them
MEMORY = 1.0  # seconds over which colours are fitted: a hand that crosses the ring must not tint the mouth


@dataclass(frozen=True, eq=False)
class Patches:
    """Generated pixels for the same rectangle of T pictures.

    Attributes:
        top, left: of the rectangle, in pixels of the upright picture.
        pixels: float [T, 3, h, w] RGB in [0, 1].
        opacity: float [T, 1, h, w] in [0, 1]; exactly 0 where the picture stays as it is.
    """

    top: int
    left: int
    pixels: Tensor
    opacity: Tensor

    def cpu(self) -> Patches:
        """In main memory, by one transfer."""
        if self.pixels.device.type == "cpu":
            return self
        pixels, opacity = torch.cat((self.pixels, self.opacity), dim=1).cpu().split((3, 1), dim=1)
        return Patches(self.top, self.left, pixels, opacity)


class ColourMatch:
    """Gain and offset per channel that bring a generated face nearest to its picture where both should agree.

    Weighted least squares on a ring of kept pixels around the mask, with a prior for gain 1 (a flat ring says nothing
    about contrast). What is fitted are means and moments of the last second or so of a run: they fade with ``MEMORY``.
    """

    def __init__(self) -> None:
        self._sums: Tensor | float = 0.0  # [5, 3]: weight, and the faded sums that become the moments
        self._time: float | None = None

    def copy(self) -> ColourMatch:
        """Its state now; both go on independently."""
        other = ColourMatch()
        other._sums, other._time = self._sums, self._time
        return other

    def __call__(self, generated: Tensor, source: Tensor, ring: Tensor, times: Sequence[float]) -> Tensor:
        """Correct colours in place.

        Args:
            generated: [T, 3, h, w], returned.
            source: the pictures there, alike.
            ring: how much a pixel says, [T, 1, h', w'], of every ``STEP``-th row and column.
            times: of the pictures in seconds.
        """
        seen, there = (pixels[..., ::STEP, ::STEP].flatten(2) for pixels in (generated, source))
        weights, total = ring.flatten(1)[..., None], ring.sum((-1, -2))

        def mean(values: Tensor) -> Tensor:
            return (values @ weights)[..., 0] / total.clamp(min=1)

        generated_mean, source_mean = mean(seen), mean(there)
        deviation = seen - generated_mean[..., None]
        covariance = mean(deviation * (there - source_mean[..., None]))
        variance = mean(deviation.square())
        known = (total >= 1).expand_as(variance).to(variance)  # elsewhere the ring lies outside of the picture
        now = torch.stack((known, generated_mean, source_mean, variance, covariance), dim=1) * known[:, None]
        faded = []
        for values, time in zip(now, times):
            passed = 1 / FPS if self._time is None else max(time - self._time, 0.0)
            fade = math.exp(-passed / MEMORY)
            self._sums, self._time = fade * self._sums + (1 - fade) * values, time
            faded.append(self._sums)
        sums = torch.stack(faded)
        moments = (sums[:, 1:] / sums[:, :1].clamp(min=1e-6))[..., None, None]
        generated_mean, source_mean, variance, covariance = moments.unbind(1)
        gain = ((covariance + PRIOR**2) / (variance + PRIOR**2)).clamp(1 / MAX_GAIN, MAX_GAIN)
        return generated.mul_(gain).add_(source_mean - gain * generated_mean)


def paste(
    faces: Tensor,
    matrices: Tensor,
    opacity: Sequence[float],
    source: Callable[[slice, slice], Tensor],
    picture_size: tuple[int, int],
    match: ColourMatch | None = None,
    times: Sequence[float] = (),
) -> Patches | None:
    """Generated faces laid over their pictures.

    The face is first resized, antialiased, to its size in the picture, then turned and shifted bilinearly; its weight
    is the warped :func:`~lipforcing.faces.mask.blend_mask` times the picture's opacity.

    Args:
        faces: float [T, 3, S, S] in [-1, 1], generated crops as ``crop.crop_faces`` lays them out.
        matrices: [T, 2, 3], image to crop.
        opacity: T numbers in [0, 1].
        source: gives the pictures' own pixels in rows and columns, [T, 3, h, w] in [0, 1], where ``match`` needs them.
        picture_size: (H, W) of the pictures.
        match: corrects colours and remembers; None leaves colours alone.
        times: of the pictures in seconds, for ``match``.

    Returns:
        patches on the device of ``faces``; None where all faces lie outside of the picture.
    """
    window = _window(matrices, picture_size)
    if window is None:
        return None
    rows, columns = window
    size = (rows.stop - rows.start, columns.stop - columns.start)
    crop_to_window = compose(shift_matrix(-columns.start, -rows.start), invert(matrices))
    pixels = _warp_faces(faces, crop_to_window, size)
    if match is not None:
        ring = _warp_mask(colour_ring(), crop_to_window, window, picture_size, faces.device, STEP)
        pixels = match(pixels, source(rows, columns), ring, times)
    weight = _warp_mask(blend_mask(), crop_to_window, window, picture_size, faces.device)
    strength = torch.tensor(opacity, dtype=weight.dtype).to(faces.device)
    return Patches(rows.start, columns.start, pixels.clamp_(0, 1), weight.mul_(strength.view(-1, 1, 1, 1)))


def paste_weights(matrices: Tensor, opacity: Sequence[float], picture_size: tuple[int, int]) -> Tensor:
    """The weights with which :func:`paste` lays faces over pictures: float [T, H, W], 0 where the source stays."""
    weights = torch.zeros(len(matrices), *picture_size)
    window = _window(matrices, picture_size)
    if window is not None:
        rows, columns = window
        crop_to_window = compose(shift_matrix(-columns.start, -rows.start), invert(matrices))
        weight = _warp_mask(blend_mask(), crop_to_window, window, picture_size, weights.device)
        weights[:, rows, columns] = weight[:, 0] * torch.tensor(opacity).view(-1, 1, 1)
    return weights


def _window(matrices: Tensor, picture_size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns that hold mask and ring of every picture."""
    corners = transform(resize_matrix((GRID, GRID), CROP_SIZE), _support())
    x0, y0, x1, y1 = bounds(transform(invert(matrices), corners), picture_size)
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def _warp_faces(faces: Tensor, crop_to_window: Tensor, size: tuple[int, int]) -> Tensor:
    """Faces [T, 3, S, S] in [-1, 1] to the window: [T, 3, *size] in [0, 1]; rows that it does not show are left out."""
    face_to_window = compose(crop_to_window, resize_matrix(faces.shape[-2:], CROP_SIZE))
    height, width = size
    corners = torch.tensor([[0.0, 0.0], [width - 1, 0.0], [0.0, height - 1], [width - 1, height - 1]])
    _, top, _, bottom = bounds(transform(invert(face_to_window), corners), faces.shape[-2:], margin=MARGIN)
    shown = faces[..., top:bottom, :]
    scale = face_to_window[..., :2].norm(dim=-2).median(0).values  # window pixels per pixel of the face along x and y
    fitted = tuple(max(1, round(n * float(s))) for n, s in zip(shown.shape[-2:], scale.flip(0)))
    small = resize_bytes(shown.float().add(1).div_(2), fitted).float().div_(255)
    to_small = compose(resize_matrix(shown.shape[-2:], fitted), shift_matrix(0, -top))
    return sample(small, compose(to_small, invert(face_to_window)), size, "border")


def _warp_mask(
    mask: Tensor,
    crop_to_window: Tensor,
    window: tuple[slice, slice],
    picture_size: tuple[int, int],
    device: torch.device,
    step: int = 1,
) -> Tensor:
    """A mask of the crop [256, 256] in every ``step``-th row and column of the window: [T, 1, h, w].

    It ends a little inside of the picture: next to its border the crop is mixed with the grey beyond.
    """
    rows, columns = (torch.arange(span.start, span.stop, step, device=device) for span in window)
    to_window = torch.tensor([[step, 0.0, 0.0], [0.0, step, 0.0]])
    to_grid = compose(compose(resize_matrix(CROP_SIZE, (GRID, GRID)), invert(crop_to_window)), to_window)
    warped = sample(mask.to(device).expand(len(to_grid), 1, -1, -1), to_grid, (len(rows), len(columns)))
    for at, length, axis in zip((rows, columns), picture_size, ((-1, 1), (1, -1))):
        warped.mul_(torch.minimum(at, length - 1 - at).sub(BORDER).div(BORDER).clamp(0, 1).view(axis))
    return warped


@functools.lru_cache(maxsize=1)
def _support() -> Tensor:
    """Corners [4, 2] of the part of the grid that blend or ring touch, (x, y)."""
    used = (blend_mask() + colour_ring()) > 0
    rows, columns = used.any(1).nonzero().ravel(), used.any(0).nonzero().ravel()
    x0, x1, y0, y1 = columns[0] - 1, columns[-1] + 1, rows[0] - 1, rows[-1] + 1
    return torch.stack([torch.stack([x, y]) for x in (x0, x1) for y in (y0, y1)]).float()
