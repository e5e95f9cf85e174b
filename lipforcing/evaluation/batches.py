"""Pictures of a pair, side by side: the same crop of both, a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..faces.align import full_frame_matrix
from ..syncnet.tracks import SquareTrack, aligned_crop, square_matrix, whole_crop

CROP = 256  # pixels of the face crop; the mouth mask's own grid
BATCH = 8


@dataclass(frozen=True, eq=False)
class Batch:
    """Successive clock frames of a result and its reference.

    Attributes:
        result_frames, reference_frames: T pictures uint8 [H, W, 3], of one size.
        result, reference: their face crops, uint8 [T, 256, 256, 3], on the grid of the mouth mask.
        squares: the result's and the reference's square of every frame, (x, y, s) in pixels; the whole picture's where
            the footage is a face crop.
        matrices: [2, T, 2, 3], pixel of the result and of the reference to pixel of the 420 x 560 crop.
        indices: of the clock frames.
    """

    result_frames: list[torch.Tensor]
    reference_frames: list[torch.Tensor]
    result: torch.Tensor
    reference: torch.Tensor
    squares: list[tuple[torch.Tensor, torch.Tensor]]
    matrices: torch.Tensor
    indices: list[int]


@dataclass(frozen=True)
class Place:
    """Where the face is in a video.

    Attributes:
        track: its squares by clock frame; None for footage that is a face crop from edge to edge.
        still: whether the face stays at the track's first square from beginning to end.
    """

    track: SquareTrack | None
    still: bool

    def has(self, index: int) -> bool:
        """Whether clock frame ``index`` shows the face."""
        return self.still or self.track.first <= index < self.track.end

    def square(self, index: int, picture: torch.Tensor) -> torch.Tensor:
        """Square [3] (x, y, s) of the face."""
        if self.track is None:
            height, width = picture.shape[:2]
            return torch.tensor([(width - 1) / 2, (height - 1) / 2, max(height, width) / 2])
        return self.track.squares[self._row(index)]

    def _row(self, index: int) -> int:
        return 0 if self.still else index - self.track.first

    def matrix(self, index: int, size: tuple[int, int]) -> torch.Tensor:
        """Pixel of a picture of this height and width to pixel of the 420 x 560 crop: [2, 3]."""
        if self.track is None:
            return full_frame_matrix(*size)
        return square_matrix(self.track.squares[self._row(index)])

    def crop(self, index: int, picture: torch.Tensor) -> torch.Tensor:
        """Aligned face crop uint8 [256, 256, 3]."""
        if self.track is None:
            return whole_crop(picture, CROP)
        return aligned_crop(picture, self.square(index, picture), CROP)


@dataclass(frozen=True, eq=False)
class Shown:
    """One clock frame of both videos; ``index`` counts from 0."""

    index: int
    result: torch.Tensor
    reference: torch.Tensor


def side_by_side(
    result: Iterator[torch.Tensor], reference: Iterator[torch.Tensor], counts: list[int]
) -> Iterator[Shown]:
    """Common clock frames of two videos; a result of another size is resized to the reference's.

    ``counts`` receives the lengths of both once they have ended.
    """
    done = object()
    total = [0, 0]
    while True:
        pair = next(result, done), next(reference, done)
        for side, picture in enumerate(pair):
            total[side] += picture is not done
        if pair[0] is not done and pair[1] is not done:
            yield Shown(total[0] - 1, _fit(pair[0], pair[1].shape[:2]), pair[1])
        elif pair[0] is done and pair[1] is done:
            counts[:] = total
            return


def _fit(picture: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if picture.shape[:2] == size:
        return picture
    pixels = picture.permute(2, 0, 1)[None].float()
    resized = F.interpolate(pixels, tuple(size), mode="bicubic", antialias=True)[0]
    return resized.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def in_batches(frames: Iterator[Shown], own: Place, reference: Place) -> Iterator[Batch]:
    """Frames that show the face in both videos, cropped; ``own`` is the place in the result."""
    held: list[Shown] = []

    def batch() -> Batch:
        size = held[0].reference.shape[:2]
        return Batch(
            [shown.result for shown in held],
            [shown.reference for shown in held],
            torch.stack([own.crop(shown.index, shown.result) for shown in held]),
            torch.stack([reference.crop(shown.index, shown.reference) for shown in held]),
            [(own.square(s.index, s.result), reference.square(s.index, s.reference)) for s in held],
            torch.stack([torch.stack([place.matrix(s.index, size) for s in held]) for place in (own, reference)]),
            [s.index for s in held],
        )

    for shown in frames:
        if own.has(shown.index) and reference.has(shown.index):
            held.append(shown)
        if len(held) == BATCH:
            yield batch()
            held = []
    if held:
        yield batch()
