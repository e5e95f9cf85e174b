"""The face networks and all that surrounds them against MediaPipe itself (``tools/record_mediapipe.py``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lipforcing.faces.blazeface import detect_faces, load_network
from lipforcing.faces.blazeface_networks import FullRange, ShortRange
from lipforcing.faces.face_mesh import FaceMesh, regions, roi_from_detection
from lipforcing.faces.face_mesh_network import CONTOUR, IRIS, LEFT_EYE, LIPS, POINTS, RIGHT_EYE

from . import pictures

DATA = Path(__file__).parents[1] / "data"
NETWORK = 5e-4  # largest difference of any output, in pixels of the network's input and logits
PLACE = 0.5  # and of any position, in thousandths of the picture's longer side


@pytest.fixture(scope="module")
def networks():
    return {"short": load_network(ShortRange()), "full": load_network(FullRange()), "mesh": FaceMesh()}


@pytest.fixture(scope="module", params=["drawn", "clips"])
def recorded(request):
    """(name, picture, what MediaPipe found) of each picture."""
    if request.param == "drawn":
        named = [*pictures.noise(), *pictures.drawn()]
    else:
        named = list(pictures.recorded(request.getfixturevalue("clips")))
        assert len(named) >= 50
    tensors = load_file(DATA / f"mediapipe_{request.param}.safetensors")
    every = 1 if request.param == "drawn" else pictures.THIN_POINTS

    def found(name: str) -> Callable[[str], torch.Tensor]:
        return lambda key: tensors[f"{name}/{key}"]

    return [(name, picture, found(name), every) for name, picture in named]


def _input(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("kind", ["short", "full"])
def test_a_detector_predicts_what_the_original_predicts(recorded, networks, kind, parity):
    network = networks[kind]
    for _, picture, found, _ in recorded:
        offsets, logits = network(_input(pictures.middle(picture, network.input_size)) * 2 - 1)
        outputs = torch.cat([offsets.flatten(), logits.flatten()])[:: pictures.THIN[kind]]
        parity("mediapipe", f"{kind} range, outputs", outputs, found(kind), NETWORK)


def test_the_mesh_predicts_what_the_original_predicts(recorded, networks, parity):
    refined = torch.zeros(POINTS, 3, dtype=torch.bool)
    refined[[*LIPS, *LEFT_EYE, *RIGHT_EYE], :2] = True  # the mesh's own values of these are not reported
    reported = torch.cat([~refined.flatten(), torch.ones(2 * (len(LIPS) + 2 * len(LEFT_EYE) + 2 * IRIS) + 1).bool()])
    for name, picture, found, _ in recorded:
        if not name.startswith("noise"):
            picture = pictures.square(picture, *found("square").tolist(), 192)
        points, logits = networks["mesh"].network(_input(picture))
        mesh, (left, right) = points[0, :POINTS], points[0, POINTS:].split(IRIS)
        parts = [mesh[list(part), :2] for part in (LIPS, LEFT_EYE, RIGHT_EYE)] + [left[:, :2], right[:, :2]]
        outputs = torch.cat([mesh.flatten(), *(part.flatten() for part in parts), logits])
        kept = reported[:: pictures.THIN["mesh"]]
        parity("mediapipe", "mesh, outputs", outputs[:: pictures.THIN["mesh"]][kept], found("mesh")[kept], NETWORK)
        for iris, eye in ((left, LEFT_EYE), (right, RIGHT_EYE)):
            assert torch.allclose(iris[:, 2], mesh[list(eye[:CONTOUR]), 2].mean(), atol=1e-5)


@pytest.mark.parametrize("kind", ["short", "full"])
def test_faces_are_found_where_the_original_finds_them(recorded, networks, kind, parity):
    for name, picture, found, _ in recorded:
        if name.startswith("noise"):
            continue
        faces = _detect(networks[kind], picture)
        expected = found(f"detections_{kind}")
        assert len(faces) == len(expected), name
        for face, row in zip(faces, expected):
            assert face.score == pytest.approx(float(row[0]), abs=0.01)
            places = torch.cat([face.box, face.keypoints.flatten()])
            parity("mediapipe", f"{kind} range, box and keypoints", *_thousandths(picture, places, row[1:]), PLACE)


def test_points_lie_where_the_original_puts_them(recorded, networks, parity):
    for name, picture, found, every in recorded:
        if name.startswith("noise"):
            continue
        face = _detect(networks["short"], picture)[0]
        rois = roi_from_detection(face.box[None], face.keypoints[None])
        points, presence, _ = networks["mesh"].landmarks(*regions(torch.from_numpy(picture)[None], rois), rois)
        assert presence[0] > 0.5
        points, expected = points[0, ::every], found("points")
        parity("mediapipe", "points", *_thousandths(picture, points[:, :2], expected[:, :2]), PLACE)
        parity("mediapipe", "depths of points", *_thousandths(picture, points[:, 2], expected[:, 2]), PLACE)


def _detect(network, picture: np.ndarray):
    return detect_faces(network, network.min_score, torch.from_numpy(picture)[None])[0]


def _thousandths(picture: np.ndarray, *places: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Pixels to thousandths of the picture's longer side."""
    return tuple(place * (1000 / max(picture.shape[:2])) for place in places)
