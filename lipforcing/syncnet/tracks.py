"""Face tracks and crops as the reference tool makes them for scoring.

The rules: docs/evaluation.md, Which faces, which crops. Boxes mean what S3FD's mean: YuNet was trained on the same ones
(WIDER FACE), and those of the mesh are fitted to YuNet's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from ..faces.align import BOX_SIZE, box_matrix
from ..faces.choice import overlap
from ..faces.crop import crop_faces, face_region
from ..faces.landmarks import Face
from ..media import ImagePicture

SAME_FACE = 0.5  # least overlap (IoU) of one face in successive detections
MIN_SCORE = 0.9  # of a detection that counts
MAX_GAP = 25  # frames that a face may be missed for
MIN_TRACK = 50  # a track has more detections than this; the value of the published evaluations
MIN_FACE = 100  # a face is larger than this in pixels, in its longer direction and on average
MEDIAN = 13  # frames, of the filter on place and size
CROP_SCALE = 0.4
GREY = 110  # level outside the frame


@dataclass(frozen=True, eq=False)
class SquareTrack:
    """One face over consecutive frames of the 25 fps clock.

    Attributes:
        first: clock frame of the first square.
        squares: float32 [T, 3], centre (x, y) and half side s of the square around the face's box, in pixels.
    """

    first: int
    squares: torch.Tensor

    @property
    def end(self) -> int:
        """Clock frame after the last."""
        return self.first + len(self.squares)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Mean square: left, top, right, bottom in pixels."""
        x, y, s = self.squares.mean(0).tolist()
        return x - s, y - s, x + s, y + s


@dataclass(eq=False)
class _Chain:
    """Detections of one face: clock frames and boxes (left, top, right, bottom)."""

    frames: list[int] = field(default_factory=list)
    boxes: list[torch.Tensor] = field(default_factory=list)


class BoxTracker:
    """Chains the detections of every face of a video, frame after frame.

    A detection goes on with the oldest chain whose last box it overlaps by more than ``SAME_FACE``; a chain ends with
    its shot, or when its face has been missed for more than ``MAX_GAP`` frames.
    """

    def __init__(self) -> None:
        self._frame = 0
        self._open: list[_Chain] = []
        self._closed: list[_Chain] = []

    def update(self, faces: Iterable[Face], shot_start: bool) -> None:
        """Continue with the faces of the next frame, best first."""
        kept = [chain for chain in self._open if not shot_start and self._frame - chain.frames[-1] <= MAX_GAP]
        self._closed += [chain for chain in self._open if chain not in kept]
        boxes = [face.box for face in faces if face.score > MIN_SCORE]
        for chain in kept:
            at = next((i for i, box in enumerate(boxes) if overlap(box, chain.boxes[-1]) > SAME_FACE), None)
            if at is not None:
                chain.frames.append(self._frame)
                chain.boxes.append(boxes.pop(at))
        self._open = kept + [_Chain([self._frame], [box]) for box in boxes]
        self._frame += 1

    def tracks(self, min_track: int = MIN_TRACK, min_face: float = MIN_FACE) -> list[SquareTrack]:
        """Tracks of the faces that were seen long enough and are large enough, in order of their beginning.

        Where no face was seen long enough, the one seen longest is given: too few frames are another thing than no
        face.
        """
        chains = sorted(self._closed + self._open, key=lambda chain: chain.frames[0])
        large = [chain for chain in chains if _mean_size(chain) > min_face]
        long = [chain for chain in large if len(chain.frames) > min_track]
        longest = sorted(large, key=lambda chain: -len(chain.frames))[:1]
        return [SquareTrack(chain.frames[0], squares(chain.frames, chain.boxes)) for chain in long or longest]


def _mean_size(chain: _Chain) -> float:
    boxes = torch.stack(chain.boxes)
    return (boxes[:, 2:] - boxes[:, :2]).mean(0).max().item()


def squares(frames: list[int], boxes: list[torch.Tensor]) -> torch.Tensor:
    """Smoothed squares [T, 3] (x, y, s) of every frame from the first to the last detection.

    Boxes [4] between detections are interpolated linearly; place and size then pass a median filter that sees zeros
    beyond the track's ends, as the reference's does, which makes the first and last squares a little smaller and
    nearer the origin where the face moves. Fewer frames than the filter is long stay as they are.
    """
    known = torch.stack(boxes).double().numpy()
    everywhere = np.arange(frames[0], frames[-1] + 1)
    filled = np.stack([np.interp(everywhere, frames, column) for column in known.T], axis=1)
    left, top, right, bottom = torch.from_numpy(filled).unbind(1)
    half = torch.maximum(right - left, bottom - top) / 2
    rows = torch.stack([(left + right) / 2, (top + bottom) / 2, half])
    if rows.shape[1] >= MEDIAN:
        rows = F.pad(rows, (MEDIAN // 2, MEDIAN // 2)).unfold(1, MEDIAN, 1).median(2).values
    return rows.T.float()


def fixed_square(x0: float, y0: float, x1: float, y1: float) -> torch.Tensor:
    """Square [3] (x, y, s) of a face whose box does not move."""
    return torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) / 2])


def square_crop(frame: torch.Tensor, square: torch.Tensor, size: int) -> torch.Tensor:
    """What SyncNet v2 sees of a face: uint8 [size, size, 3] out of a frame uint8 [H, W, 3].

    2.8 s wide and high, from s above to 1.8 s below the centre of the square (x, y, s); grey outside the frame;
    bilinear without antialiasing. Edges are cut to whole pixels exactly as the reference cuts them.
    """
    x, y, s = square.tolist()
    pad = int(s * (1 + 2 * CROP_SCALE))
    top, bottom = (int(y + pad + edge) - pad for edge in (-s, s * (1 + 2 * CROP_SCALE)))
    left, right = (int(x + pad + edge) - pad for edge in (-s * (1 + CROP_SCALE), s * (1 + CROP_SCALE)))
    height, width = frame.shape[:2]
    inside = frame[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)].permute(2, 0, 1).float()
    beyond = (
        min(max(-left, 0), right - left),
        max(right - max(width, left), 0),
        min(max(-top, 0), bottom - top),
        max(bottom - max(height, top), 0),
    )
    crop = F.pad(inside, beyond, value=GREY)
    crop = F.interpolate(crop[None], (size, size), mode="bilinear", align_corners=False)[0]
    return crop.round().to(torch.uint8).permute(1, 2, 0)


def aligned_crop(frame: torch.Tensor, square: torch.Tensor, size: int) -> torch.Tensor:
    """What a SyncNet trained on the pipeline's own crop sees: uint8 [size, size, 3] out of a frame uint8 [H, W, 3].

    The face is taken for upright, as high as the square (x, y, s) and of usual proportions.
    """
    matrix = square_matrix(square)[None]
    region = face_region([ImagePicture(frame)], matrix)
    return crop_faces(region, matrix, (size, size), frame.shape[:2])[0].permute(1, 2, 0)


def square_matrix(square: torch.Tensor) -> torch.Tensor:
    """Pixel of the frame to pixel of the aligned crop [2, 3] for a face as high as the square [3] (x, y, s)."""
    x, y, s = square.tolist()
    half = s * BOX_SIZE[0] / BOX_SIZE[1]
    return box_matrix(x - half, y - s, x + half, y + s)


def whole_crop(frame: torch.Tensor, size: int) -> torch.Tensor:
    """A frame uint8 [H, W, 3] that is a face crop already, stretched to uint8 [size, size, 3] with antialiasing."""
    small = F.interpolate(frame.permute(2, 0, 1)[None].float(), (size, size), mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
