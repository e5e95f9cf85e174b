"""What changed outside of the mouth: nothing in a lossless result, else what the encoder lost."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..faces.align import CROP_SIZE
from ..faces.mask import GRID, blend_mask
from ..faces.warp import compose, invert, resize_matrix, sample, shift_matrix
from ..media import CodecChoice, Picture, VideoReader, VideoWriter
from ..media.source import open_media
from .pixels import psnr

CLEAR = 4  # pixels around the blend that a chroma sample under it may reach


@dataclass
class Outside:
    """Samples of both pictures further from the blended mouths than ``margin`` pixels.

    Attributes:
        margin: more where the mouth's place in the result is not known exactly.
        changed, samples: of RGB values that were compared, how many differ, and how many there were.
        squared: sum of squared differences of 8-bit values.
    """

    margin: float = CLEAR
    changed: int = 0
    samples: int = 0
    squared: float = 0.0

    def update(self, result: Picture, reference: Picture, matrices: Iterable[Tensor]) -> None:
        """Continue with the next frame: pictures of one size, and for every mouth [2, 3], picture to crop."""
        kept = torch.ones(result.height, result.width, dtype=torch.bool)
        for matrix in matrices:
            kept &= ~_under(matrix, (result.height, result.width), self.margin)
        difference = (result.rgb().short() - reference.rgb().short())[kept]
        self.changed += int(difference.count_nonzero())
        self.samples += difference.numel()
        self.squared += float(difference.float().square().sum(dtype=torch.float64))

    @property
    def share(self) -> float | None:
        """Share of samples that differ; None where nothing was compared."""
        return self.changed / self.samples if self.samples else None

    @property
    def psnr(self) -> float | None:
        """Signal to noise in dB, at most 100; None where nothing was compared."""
        return psnr(self.squared / self.samples) if self.samples else None


def _under(matrix: Tensor, size: tuple[int, int], margin: float) -> Tensor:
    """Pixels of a picture (H, W) within ``margin`` pixels of a blended mouth: bool [H, W]."""
    pixels = float(invert(matrix)[:, 0].norm()) * CROP_SIZE[1] / GRID  # of the picture, for one of the grid
    grown = math.ceil(margin / pixels)
    to_grid = compose(shift_matrix(grown, grown), compose(resize_matrix(CROP_SIZE, (GRID, GRID)), matrix))
    return sample(_grown(grown)[None, None], to_grid[None], size)[0, 0] > 0


@functools.lru_cache(maxsize=8)
def _grown(by: int) -> Tensor:
    """The blend's support grown by so many pixels of its grid: float 0 or 1, [256 + 2 by, 256 + 2 by]."""
    support = F.pad((blend_mask() > 0).float(), (by, by, by, by))[None, None]
    return F.max_pool2d(support, 2 * by + 1, 1, by)[0, 0]


@dataclass(frozen=True)
class Settings:
    """How x264 or x265 coded a video: which of them ("h264", "hevc"), and at which constant quality (CRF)."""

    codec: CodecChoice
    quality: float


def settings_of(path: Path) -> Settings | None:
    """What the encoder noted in a video's first packet; None where there is no note of a constant quality.

    Raises:
        InputError: no video can be read.
    """
    with open_media(path) as container:
        stream = container.streams.video[0]
        data = bytes(stream.codec_context.extradata or b"") + bytes(next(container.demux(stream)))
    found = re.search(rb"x26([45]) .{0,2000}?crf=([0-9.]+)", data, re.DOTALL)
    return Settings("h264" if found[1] == b"4" else "hevc", float(found[2])) if found else None


def reencode(reference: Path, out: Path, settings: Settings) -> None:
    """Code a video once more, as nothing but an encoder would.

    Raises:
        InputError: it cannot be read or written.
    """
    options = {"codec": settings.codec, "quality": settings.quality}
    with VideoReader(reference) as video, VideoWriter.like(out, video.info, **options) as writer:
        for frame in video.frames():
            writer.write(frame.picture, frame.time)
