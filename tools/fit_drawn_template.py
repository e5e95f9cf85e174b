"""Where the mesh finds its anchors in the crops that the tiny family was trained on.

    python -m tools.fit_drawn_template [--people 48]

Draws people with a neutral pose, which is the crop of the tiny family's training, looks at each with the networks of
the package, and prints the mean place and the spread of the rule's points in the 420 x 560 crop, over one half of the
people and over the other.
"""

from __future__ import annotations

import argparse

import torch

from lipforcing.drawn.faces import Identity, render
from lipforcing.faces.align import full_frame_matrix
from lipforcing.faces.landmarks import ANCHORS
from lipforcing.faces.mesh_detector import LAYOUT, MeshDetector
from lipforcing.faces.warp import transform
from lipforcing.media import ImagePicture

SIZE = (512, 384)
FIRST = 70_000_000  # identities that nothing was trained on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=48)
    people = parser.parse_args().people
    detector, found = MeshDetector(), []
    mouth, pose = torch.zeros(1, 5), torch.zeros(1, 8)
    for seed in range(FIRST, FIRST + people):
        (image,) = render(Identity.sample(seed), mouth, pose, SIZE)
        faces = detector(ImagePicture(image))
        if len(faces) == 1:
            found.append(transform(full_frame_matrix(*SIZE)[None], ANCHORS[LAYOUT](faces[0].points)[None])[0])
    print(f"{len(found)} of {people} people were found")
    for half in (found[::2], found[1::2]):
        points = torch.stack(half)
        print("mean", points.mean(0).round(decimals=1).tolist(), "spread", points.std(0).round(decimals=1).tolist())


if __name__ == "__main__":
    main()
