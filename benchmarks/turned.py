"""When the mouth of a head that turns away is left alone, on a real face that is turned.

    python -m benchmarks.turned CLIP... [--out DIR]

The face of a recording is laid over its own mesh, which is turned about its upright axis to 80 degrees within a second,
stays for a second and comes back: a mask that turns before a blurred head. Following says of every frame what it takes
the angle for and how strongly the mouth would be painted. ``--out`` keeps the videos, for ``lipforcing sync``.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.tri import Triangulation
from torch import Tensor

from lipforcing.faces.face_mesh import FaceMesh, regions, roi_from_landmarks
from lipforcing.faces.mesh_detector import MeshDetector
from lipforcing.media import ImagePicture
from lipforcing.timeline import FPS

from .common import hardware, table
from .covered import followed, read, strength, write

FRAMES, LARGEST = 90, 80.0  # degrees
STARTS, TURNS, STAYS = 0.4, 1.0, 1.0  # seconds
NEAR, FAR = 45.0, 70.0  # degrees below which a mouth should be painted, and beyond which it should not
BEHIND = 6.0  # of the face's width that the blur behind it averages, to one


def angle(time: float) -> float:
    """Degrees by which the mask is turned."""
    since = time - STARTS
    share = min(max(since / TURNS, 0.0), 1.0) - min(max((since - TURNS - STAYS) / TURNS, 0.0), 1.0)
    return LARGEST * share


def mesh_points(pictures: list[Tensor]) -> list[Tensor]:
    """Points [468, 3] in pixels of every picture [H, W, 3] in [0, 1]."""
    mesh, found = FaceMesh(brows_only=True), []
    points = MeshDetector()(ImagePicture(pictures[0]))[0].points
    for picture in pictures:
        rois = roi_from_landmarks(points)[None]
        points = mesh.landmarks(*regions(picture[None], rois), rois)[0][0]
        found.append(points)
    return found


def turned(picture: Tensor, points: Tensor, triangles: Tensor, degrees: float) -> Tensor:
    """The face of a picture, turned about its upright axis, before what is left of the head, blurred."""
    height, width, _ = picture.shape
    centre, radians = points.mean(0), math.radians(degrees)
    x, y, z = (points - centre).unbind(-1)
    places = torch.stack([x * math.cos(radians) + z * math.sin(radians), y], -1) + centre[:2]
    depth = z * math.cos(radians) - x * math.sin(radians)
    side = int(float(x.max() - x.min()) / BEHIND) * 2 + 1
    planes = picture.movedim(-1, 0)[None]
    small = F.avg_pool2d(planes, side, max(1, side // 2), side // 2, count_include_pad=False)
    blurred = F.interpolate(small, (height, width), mode="bilinear")[0].movedim(0, -1)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    radius = 0.75 * (points[:, 1].max() - points[:, 1].min())
    distance = ((columns - centre[0]) ** 2 + (rows - centre[1]) ** 2).sqrt() / radius
    weight = ((1.2 - distance) / 0.2).clamp(0, 1)[..., None]
    result = torch.lerp(picture, blurred, weight)
    for corners in triangles[depth[triangles].mean(-1).argsort(descending=True)]:
        to, source = places[corners], points[corners, :2]
        across = torch.stack([to[1] - to[0], to[2] - to[0]], -1)
        if float(torch.linalg.det(across)) <= 0.05:  # seen from behind, or edge on
            continue
        low, high = to.amin(0).floor().long(), to.amax(0).ceil().long() + 1
        left, top = low.clamp(min=0).tolist()
        right, bottom = min(int(high[0]), width), min(int(high[1]), height)
        if left >= right or top >= bottom:
            continue
        grid = torch.stack([columns[top:bottom, left:right], rows[top:bottom, left:right]], -1).float()
        shares = (grid - to[0]) @ torch.linalg.inv(across).T
        inside = (shares >= -0.02).all(-1) & (shares.sum(-1) <= 1.02)
        from_ = source[0] + shares @ torch.stack([source[1] - source[0], source[2] - source[0]])
        at = (from_[inside] + 0.5) / torch.tensor([width, height]) * 2 - 1
        colours = F.grid_sample(planes, at[None, None], align_corners=False, padding_mode="border")[0, :, 0].T
        result[top:bottom, left:right][inside] = colours
    return result


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
        found = mesh_points(pictures)
        triangles = torch.from_numpy(Triangulation(*found[0][:, :2].T.numpy()).triangles).long()
        # Corners of triangles that face the camera run the same way round as x and y axes do.
        flat = found[0][triangles, :2]
        first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
        wrong = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
        triangles[wrong] = triangles[wrong].flip(-1)
        shown = [turned(p, m, triangles, angle(n / FPS)) for n, (p, m) in enumerate(zip(pictures, found))]
        if arguments.out is not None:
            write(shown, arguments.out / f"{clip.stem}_turned.mp4")
        rows.append([clip.stem, *judged(shown)])
        print(*rows[-1], flush=True)
    print(
        table(["clip", "gone at", "back at", f"painted beyond {FAR:.0f} degrees", f"left alone below {NEAR:.0f}"], rows)
    )


def judged(pictures: list[Tensor]) -> list[str]:
    """The angle at which the mouth is gone and that at which it is back, and frames in which it should be otherwise."""
    seen = followed(pictures)
    levels = [strength(one) for one in seen]
    angles = [angle(number / FPS) for number in range(len(levels))]
    gone = next((n for n, level in enumerate(levels) if level == 0), None)
    back = next((n for n in range(len(levels)) if gone is not None and n > gone and levels[n] == 1), None)
    far = [level for level, degrees in zip(levels, angles) if degrees > FAR]
    near = [level for level, degrees in zip(levels, angles) if degrees < NEAR]
    named = [f"{angles[n]:.0f}" if n is not None else "never" for n in (gone, back)]
    reasons = sorted({one.absence for one in seen if not one.sightings})
    return [
        *named,
        f"{sum(level > 0 for level in far)} of {len(far)} ({', '.join(reasons)})",
        f"{sum(level < 1 for level in near)} of {len(near)}",
    ]


if __name__ == "__main__":
    main()
