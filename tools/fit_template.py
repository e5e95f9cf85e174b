"""Fits the template of the ``attention478`` layout on published pairs and tests it on others.

    python -m tools.fit_template --clips FOLDER --fit hdtf_1 hallo3_1 --test talkvid_1 talkvid_2

FOLDER holds ``<name>_input.mp4`` and ``<name>_ours.mp4``. For each clip and for the clips of either list pooled it
prints where the reference's mouth mask lies in our crop (:mod:`tools.crop_geometry`), first with the template in use,
then with the fitted one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch

from lipforcing.faces.align import similarity
from lipforcing.faces.blazeface import FaceDetector
from lipforcing.faces.face_mesh import FaceMesh, regions, roi_from_detection, roi_from_landmarks
from lipforcing.faces.landmarks import ANCHORS, TEMPLATES
from lipforcing.faces.warp import invert, transform
from tests.faces.pictures import frames

from .crop_geometry import difference_map, edge_offsets, log_map, place

LAYOUT = "attention478"
COUNT, LENGTH = 27, 81  # frames that are looked at, of all frames of a clip


class Pair:
    """A published pair, ``count`` frames of it, with the rule's points [T, 3, 2] in each frame of the input."""

    def __init__(self, folder: Path, name: str, detector: FaceDetector, mesh: FaceMesh, count: int = COUNT) -> None:
        self.before, self.after = (_read(folder / f"{name}_{side}.mp4", count) for side in ("input", "ours"))
        faces = [found[0] for found in detector.detect(self.before)]
        rois = roi_from_detection(torch.stack([f.box for f in faces]), torch.stack([f.keypoints for f in faces]))
        for _ in range(2):  # the second time from the points, as a face is followed
            points, *_ = mesh.landmarks(*regions(self.before, rois), rois)
            rois = roi_from_landmarks(points)
        self.points = torch.stack([ANCHORS[LAYOUT](one[:, :2]) for one in points])

    def levels(self, template: torch.Tensor) -> torch.Tensor:
        """Log map of the differences in the crop that the template [3, 2] gives."""
        return log_map(difference_map(self.before, self.after, similarity(self.points, template)))


def _read(path: Path, count: int) -> torch.Tensor:
    return torch.stack([torch.from_numpy(picture) for _, picture in frames(path, LENGTH // count, count)])


def pooled(pairs: Iterable[Pair], template: torch.Tensor) -> torch.Tensor:
    """Mean log map of several pairs."""
    return torch.stack([pair.levels(template) for pair in pairs]).mean(0)


def fit(pairs: Iterable[Pair], template: torch.Tensor, rounds: int = 2) -> torch.Tensor:
    """The template with which the mask lies at its place, starting from another one: [3, 2]."""
    for _ in range(rounds):
        template = transform(invert(place(pooled(pairs, template)).matrix()), template)
    return template


def describe(levels: torch.Tensor) -> str:
    found = place(levels)
    edges = ", ".join(f"{name} {offset:+.1f}" for name, offset in edge_offsets(levels).items())
    return f"dx {found.dx:+.1f}, dy {found.dy:+.1f}, scale {found.scale:.3f}; edges inward by {edges}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--fit", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--test", nargs="+", required=True, metavar="NAME")
    arguments = parser.parse_args()
    detector, mesh = FaceDetector(), FaceMesh()
    names = {"fit": arguments.fit, "test": arguments.test}
    pairs = {kind: [Pair(arguments.clips, name, detector, mesh) for name in named] for kind, named in names.items()}
    fitted = fit(pairs["fit"], TEMPLATES[LAYOUT])
    print("fitted template:", [[round(value, 1) for value in row] for row in fitted.tolist()])
    for title, template in (("template in use", TEMPLATES[LAYOUT]), ("fitted template", fitted)):
        for kind in names:
            for name, pair in zip(names[kind], pairs[kind]):
                print(f"{title}, {kind} clip {name}: {describe(pair.levels(template))}")
            print(f"{title}, {kind} clips pooled: {describe(pooled(pairs[kind], template))}")


if __name__ == "__main__":
    main()
