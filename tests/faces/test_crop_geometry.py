"""Our face crop against the one that the released weights were trained on, seen in published results."""

from __future__ import annotations

import pytest

from lipforcing.faces.blazeface import FaceDetector
from lipforcing.faces.face_mesh import FaceMesh
from lipforcing.faces.landmarks import TEMPLATES
from tools.fit_template import LAYOUT, Pair, describe, edge_offsets, place, pooled


def test_the_reference_pasted_its_mouths_where_our_crop_has_them(clips):
    names = sorted(path.name.removesuffix("_ours.mp4") for path in clips.glob("*_ours.mp4"))
    if not names:
        pytest.skip(f"no published pairs in {clips}")
    detector, mesh = FaceDetector(), FaceMesh()
    pairs = [Pair(clips, name, detector, mesh, count=9) for name in names]
    for name, pair in zip(names, pairs):
        print(f"{name}: {describe(pair.levels(TEMPLATES[LAYOUT]))}")
    levels = pooled(pairs, TEMPLATES[LAYOUT])
    print(f"pooled: {describe(levels)}")
    found = place(levels)
    assert abs(found.dx) <= 6 and abs(found.dy) <= 6 and abs(found.scale - 1) <= 0.04
    assert max(map(abs, edge_offsets(levels).values())) <= 6
