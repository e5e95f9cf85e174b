"""How still a still head is held and how closely a moving one is followed, beside the reference's way.

    python -m benchmarks.following CLIP... [--seconds 4]

One frame of each clip is shown for some seconds, with fresh noise in every frame: as it is, and moving by whole pixels
along a known path, to and fro across a sixth of the face's width every two seconds and half as far up and down, twice
as fast. So the truth is known: the crop of the first frame, moved. Errors are those of the three anchors that align the
crop, in crop pixels (420 x 560): jitter is their deviation from their own mean over the still clip; error is their
distance from the truth over the moving one; lag is the shift in time at which that is least. The reference detects in
every frame and rounds the anchors to pixels of the picture.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lipforcing.faces.align import TEMPLATE, similarity
from lipforcing.faces.follow import DetectingFollower
from lipforcing.faces.landmarks import anchors
from lipforcing.faces.mesh_detector import MeshDetector
from lipforcing.faces.warp import invert, transform
from lipforcing.media import Frame, ImagePicture, VideoReader
from lipforcing.timeline import FPS

from .common import hardware, table

NOISE = 3 / 255  # standard deviation of what a camera adds
ACROSS, PERIOD = 1 / 6, 2.0  # of the face's width; seconds

Way = Callable[[list[Tensor]], Tensor]
"""Pictures [H, W, 3] in [0, 1] -> anchors [T, 3, 2]."""


def reference(pictures: list[Tensor]) -> Tensor:
    """A detection in every frame, rounded."""
    detector = MeshDetector()
    return torch.stack([anchors(detector(ImagePicture(picture))[0]).round() for picture in pictures])


def followed(pictures: list[Tensor]) -> Tensor:
    """As every run does it."""
    follower, seen = DetectingFollower(MeshDetector()), []
    for number, picture in enumerate(pictures):
        seen += follower.push(Frame(ImagePicture(picture), number / FPS, number, number))
    seen += follower.finish()
    matrices = torch.stack([one.sightings[0].matrix for _, one in seen])
    return transform(invert(matrices), TEMPLATE)


def path(frames: int, width: float) -> Tensor:
    """Whole pixels [T, 2] by which the face moves, (x, y)."""
    turn = 2 * math.pi * torch.arange(frames) / FPS / PERIOD
    return torch.stack([width * ACROSS * turn.sin(), width * ACROSS / 2 * (2 * turn).sin()], -1).round()


def moved(picture: Tensor, shifts: Tensor, generator: torch.Generator) -> list[Tensor]:
    """A picture [H, W, 3] in [0, 1] shifted by each of [T, 2] whole pixels, its border repeated, with noise."""
    margin = int(shifts.abs().max())
    padded = torch.nn.functional.pad(picture.movedim(-1, 0)[None], (margin,) * 4, mode="replicate")[0].movedim(0, -1)
    height, width, _ = picture.shape
    shown = []
    for x, y in shifts.int().tolist():
        part = padded[margin - y : margin - y + height, margin - x : margin - x + width]
        shown.append((part + NOISE * torch.randn(part.shape, generator=generator)).clamp(0, 1))
    return shown


def errors(found: Tensor, truth: Tensor, scale: float) -> Tensor:
    """Mean distance of the anchors of every frame in crop pixels: [T]."""
    return (found - truth).norm(dim=-1).mean(-1) * scale


def lag(found: Tensor, truth: Tensor) -> float:
    """Milliseconds by which ``found`` comes late: where the squared error over shifts of up to 3 frames is least."""
    shifts = [*range(-3, 4)]
    inner = slice(4, len(truth) - 4)
    costs = [float((found.roll(-shift, 0) - truth)[inner].square().mean()) for shift in shifts]
    at = min(range(1, len(costs) - 1), key=costs.__getitem__)
    below, here, above = costs[at - 1 : at + 2]
    return 1000 / FPS * (shifts[at] + (below - above) / (2 * (below - 2 * here + above)))


def measured(clip: Path, way: Way, seconds: float) -> list[str]:
    """Jitter, error and lag of a way on a clip."""
    with VideoReader(clip) as video:
        first = next(iter(video.frames())).picture
    picture = first.rgb().float() / 255
    start = anchors(MeshDetector()(first)[0])
    scale = float(similarity(start)[:, 0].norm())
    shifts = path(round(seconds * FPS), 406 / scale)  # the width of a face in the crop
    generator = torch.Generator().manual_seed(0)
    still = way(moved(picture, torch.zeros_like(shifts), generator))
    moving = way(moved(picture, shifts, generator))
    jitter = errors(still, still.mean(0), scale)
    truth = still.mean(0) + shifts[:, None]
    off = errors(moving, truth, scale)[FPS // 2 :]
    figures = (jitter.square().mean().sqrt(), off.mean(), off.quantile(0.95), off.max())
    return [*(f"{float(value):.2f}" for value in figures), f"{lag(moving, truth):+.0f}"]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(hardware(), flush=True)
    rows = []
    for clip in arguments.clips:
        for name, way in (("as here", followed), ("frame by frame, rounded", reference)):
            rows.append([clip.stem, name, *measured(clip, way, arguments.seconds)])
            print(*rows[-1], flush=True)
    print(table(["clip", "way", "jitter", "error, mean", "95 %", "largest", "lag, ms"], rows))


if __name__ == "__main__":
    main()
