"""LMD: landmarks of mouths."""

from __future__ import annotations

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.evaluation.mouth import MouthMeasure, dlib_mouth, mouth_distance

from .pictures import pair


def test_mouth_distance():
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]])
    assert mouth_distance(points + torch.tensor([30.0, -7.0]), points) == 0
    wider = points * torch.tensor([1.5, 1.0])
    assert mouth_distance(wider, points) == pytest.approx(1)

    def finder(picture, square):
        return wider if picture[0, 0, 0] else points

    frames = torch.zeros(2, 256, 256, 3, dtype=torch.uint8)
    measure = MouthMeasure(finder)
    measure.update(pair(frames + 1, frames))
    assert measure.values() == {"lmd": pytest.approx(1), "lmd_face": pytest.approx(0.5)}


def test_landmarks_ask_for_their_package_or_file(tmp_path):
    with pytest.raises(InputError, match=r"dlib"):
        dlib_mouth(tmp_path / "nowhere.dat")


def test_mouth_landmarks_of_dlib_lie_in_the_faces_square(tmp_path):
    """A predictor trained here on noise says the mean shape, wherever the face is."""
    dlib = pytest.importorskip("dlib")
    shape = [(x / 100, y / 100) for x, y in zip(range(10, 78), range(88, 20, -1))]
    generator = torch.Generator().manual_seed(0)
    pictures, faces = [], []
    for left, top, side in ((10, 20, 100), (40, 30, 80)):
        box = dlib.rectangle(left, top, left + side, top + side)
        points = [dlib.point(round(left + x * side), round(top + y * side)) for x, y in shape]
        pictures.append(torch.randint(0, 256, (160, 160, 3), generator=generator, dtype=torch.uint8).numpy())
        faces.append([dlib.full_object_detection(box, points)])
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.num_trees_per_cascade_level, options.tree_depth = 1, 1, 1
    predictor = dlib.train_shape_predictor(pictures, faces, options)
    predictor.save(str(tmp_path / "points.dat"))
    points = dlib_mouth(tmp_path / "points.dat")
    found = points(torch.zeros(200, 200, 3, dtype=torch.uint8), torch.tensor([110.0, 90.0, 50.0]))
    wanted = torch.tensor(shape[48:]) * 100 + torch.tensor([60.0, 40.0])
    assert found.shape == (20, 2) and (found - wanted).norm(dim=1).mean() < 2
    (tmp_path / "text.dat").write_text("no model")
    with pytest.raises(InputError, match="no landmark model"):
        dlib_mouth(tmp_path / "text.dat")
