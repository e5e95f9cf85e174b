"""When a mouth that something covers is left alone, and when one that nothing covers is.

    python -m benchmarks.covered CLIP... [--out DIR]

Into three seconds of each clip something is painted that moves up before the mouth within 0.3 s, stays for a second and
leaves again: four fingers and a fist of the person's own skin, a dark microphone, a pale mask, a white cup. Following
says of every frame whether the mouth would be painted. *Covered* are the frames in which the thing stands where it
stays, *clear* those in which it is not in the picture; a painted covered mouth and a clear one left alone are errors.
``--out`` keeps the videos, for ``lipforcing sync``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from lipforcing.faces.follow import DetectingFollower, Seen
from lipforcing.faces.mesh_detector import MeshDetector
from lipforcing.faces.warp import transform
from lipforcing.media import Frame, ImagePicture, VideoReader, VideoWriter
from lipforcing.timeline import FPS

from .common import hardware, table

FRAMES = 75
ARRIVES, MOVES, STAYS = 0.8, 0.3, 1.0  # seconds
MOUTH, EYES = (210.0, 330.0), 167.0  # in the crop: the mouth's middle, and the distance of the outer eye corners
BARE = ((105.0, 250.0), (315.0, 250.0), (210.0, 75.0))  # there: cheeks and forehead

Paint = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Place across and down from the mouth [H, W] in distances of the eyes, skin [3] -> weight [H, W], colour [3, H, W]."""


def _blob(across: Tensor, down: Tensor, width: float, height: float, power: int = 2) -> Tensor:
    return 1 - (across.abs() / width) ** power - (down.abs() / height) ** power


def fingers(across: Tensor, down: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    parts = [_blob(across - 0.1, down + 0.33 - 0.22 * k - 0.15 * across, 0.75, 0.125) for k in range(4)]
    height = torch.stack(parts).amax(0)
    return height, skin[:, None, None] * (0.75 + 0.35 * height.clamp(0, 1))


def fist(across: Tensor, down: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    height = _blob(across, down - 0.1, 0.5, 0.42)
    return height, skin[:, None, None] * (0.8 + 0.25 * height.clamp(0, 1))


def microphone(across: Tensor, down: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    mesh = 0.12 + 0.06 * (60 * across).sin() * (60 * down).sin()
    return _blob(across, down - 0.15, 0.32, 0.38), mesh.expand(3, -1, -1)


def mask(across: Tensor, down: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    folds = 1 - 0.1 * (25 * down).sin()
    return _blob(across, down - 0.1, 0.8, 0.55, 4), torch.tensor([0.75, 0.85, 0.95])[:, None, None] * folds


def cup(across: Tensor, down: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    return _blob(across, down - 0.25, 0.36, 0.4, 6), (0.7 + 0.2 * (3 * across).cos()).expand(3, -1, -1)


THINGS: dict[str, Paint] = {
    "fingers": fingers,
    "fist": fist,
    "microphone": microphone,
    "mask": mask,
    "cup": cup,
}


def away(time: float) -> float:
    """How far the thing is from where it stays, in distances of the eyes; above 2 it is not in the picture."""
    since, leaving = time - ARRIVES, time - ARRIVES - MOVES - STAYS
    share = 1 - since / MOVES if since < MOVES else leaving / MOVES
    share = min(max(share, 0.0), 1.0)
    return 2.2 * share * share * (3 - 2 * share)


def painted(picture: Tensor, matrix: Tensor, thing: Paint, distance: float) -> Tensor:
    """A picture [H, W, 3] in [0, 1] with a thing ``distance`` below the mouth; ``matrix`` maps it to the crop."""
    height, width, _ = picture.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = transform(matrix[None], torch.stack([x, y], -1).flatten(0, 1).float())[0]
    across, down = ((places - torch.tensor(MOUTH)) / EYES).unflatten(0, (height, width)).unbind(-1)
    nearest = [int((places - torch.tensor(spot)).square().sum(-1).argmin()) for spot in BARE]
    skin = picture.flatten(0, 1)[nearest].median(0).values
    shape, colour = thing(across, down - distance, skin)
    weight = (30 * shape).clamp(0, 1)[..., None]
    return picture + weight * (colour.movedim(0, -1).clamp(0, 1) - picture)


def read(clip: Path, count: int) -> list[Tensor]:
    """The first pictures of a clip, [H, W, 3] in [0, 1]."""
    with VideoReader(clip) as video:
        return [frame.picture.rgb().float() / 255 for frame in islice(video.frames(), count)]


def write(pictures: list[Tensor], path: Path) -> None:
    """Keep pictures as a video, without an odd row or column."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = (side // 2 * 2 for side in pictures[0].shape[:2])
    with VideoWriter(path, width, height, Fraction(FPS)) as writer:
        for number, picture in enumerate(pictures):
            writer.write((picture[:height, :width] * 255).round().byte(), number / FPS)


def followed(pictures: list[Tensor]) -> list[Seen]:
    """What following sees in every picture."""
    follower, seen = DetectingFollower(MeshDetector()), []
    for number, picture in enumerate(pictures):
        seen += follower.push(Frame(ImagePicture(picture), number / FPS, number, number))
    return [one for _, one in seen + follower.finish()]


def strength(seen: Seen) -> float:
    """Of the painted mouth."""
    return seen.sightings[0].opacity if seen.sightings else 0.0


def judged(pictures: list[Tensor], matrices: list[Tensor], name: str, out: Path | None) -> list[str]:
    """Errors of one thing in one clip."""
    distances = [away(number / FPS) for number in range(len(pictures))]
    shown = [painted(p, m, THINGS[name], d) if d < 2 else p for p, m, d in zip(pictures, matrices, distances)]
    if out is not None:
        write(shown, out)
    levels = [strength(one) for one in followed(shown)]
    covered = [level for level, distance in zip(levels, distances) if distance == 0]
    after = [level for number, level in enumerate(levels) if number / FPS > ARRIVES + STAYS + 2 * MOVES]
    back = next((n for n, level in enumerate(after) if level == 1), len(after)) / FPS
    before = [level for number, level in enumerate(levels) if number / FPS < ARRIVES]
    painted_on = sum(level > 0 for level in covered)
    return [f"{painted_on} of {len(covered)}", f"{back:.2f}", f"{sum(level < 1 for level in before)} of {len(before)}"]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(hardware(), flush=True)
    rows = []
    for clip in arguments.clips:
        pictures = read(clip, FRAMES)
        seen = followed(pictures)
        alone = sum(strength(one) < 1 for one in seen)
        rows.append([clip.stem, "nothing", "", "", f"{alone} of {len(seen)}"])
        print(*rows[-1], flush=True)
        matrices = [one.sightings[0].matrix for one in seen]
        for name in THINGS:
            out = arguments.out and arguments.out / f"{clip.stem}_{name}.mp4"
            rows.append([clip.stem, name, *judged(pictures, matrices, name, out)])
            print(*rows[-1], flush=True)
    print(table(["clip", "before the mouth", "covered, painted", "back after, s", "clear, left alone"], rows))


if __name__ == "__main__":
    main()
