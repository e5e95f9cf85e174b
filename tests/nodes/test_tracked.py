"""The host's faces (landmarks, boxes, detection model) as detectors of the engine."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from lipforcing.faces.align import TEMPLATE, box_matrix
from lipforcing.faces.warp import transform
from lipforcing.media import Frame, ImagePicture

from .stand_in import LOADED_AS, load_pack

SIZE = (120, 200)


@pytest.fixture(scope="module")
def tracked():
    load_pack()
    return importlib.import_module(f"{LOADED_AS}.nodes.tracked")


def mesh(x: float, y: float, score: float = 0.9) -> dict:
    """A face of the host's mesh with its brows at (x -+ 20, y) and its nose at (x, y + 20)."""
    points = np.zeros((478, 2), np.float32)
    points[[70, 63, 105, 66, 107]] = (x - 20, y)
    points[[336, 296, 334, 293, 300]] = (x + 20, y)
    points[[195, 5, 4, 48, 278]] = (x, y + 20)
    return {"bbox_xyxy": np.array([x - 30, y - 20, x + 30, y + 60], np.float32), "landmarks_xy": points, "score": score}


def frames(count: int) -> list[Frame]:
    """A still picture whose first pixel counts."""
    images = torch.zeros(count, *SIZE, 3, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(count, dtype=torch.uint8)[:, None]
    return [Frame(ImagePicture(image), n / 25, n, n) for n, image in enumerate(images)]


def matrices(follower, count: int) -> torch.Tensor:
    """Where the one face is in every frame, [count, 2, 3]."""
    followed = [one for frame in frames(count) for one in follower.push(frame)] + follower.finish()
    return torch.stack([seen.sightings[0].matrix for _, seen in followed])


def brows_and_nose(matrix: torch.Tensor) -> torch.Tensor:
    """Where a matrix finds the anchors of the crop, in the frame."""
    return torch.linalg.solve(matrix[:, :2], (TEMPLATE - matrix[:, 2]).T).T


def test_landmarks_are_followed(tracked):
    landmarks = {"frames": [[mesh(90 + n, 50)] for n in range(6)], "image_size": SIZE}
    found = matrices(tracked.follower_for("auto", landmarks, None, None, 6, "hold"), 6)
    middle = brows_and_nose(found[5]).mean(0)
    assert abs(float(middle[0]) - 95) < 2 and abs(float(middle[1]) - 56.7) < 2


def test_recorded_faces_turn_with_the_video(tracked):
    faces = [[n] for n in range(4)]
    recorded = tracked.RecordedFaces(faces, "pingpong")
    seen = [recorded(frame.picture)[0] for frame in frames(10)]
    assert seen == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]


def test_landmarks_of_another_video_are_refused(tracked):
    error = importlib.import_module(f"{LOADED_AS}.lipforcing.errors").InputError
    with pytest.raises(error, match="covers 6 frames, the video has 60"):
        tracked.follower_for("auto", {"frames": [[]] * 6}, None, None, 60, "hold")


def test_a_single_box_is_a_face_that_stays(tracked):
    box = {"x": 40, "y": 20, "width": 60, "height": 80}
    for given in (box, [box], [[box]]):
        found = matrices(tracked.follower_for("auto", None, given, None, 9, "hold"), 3)
        assert torch.allclose(found, box_matrix(40, 20, 100, 100).expand(3, 2, 3))


def test_boxes_per_frame_are_followed(tracked):
    boxes = [[{"x": 40 + n, "y": 20, "width": 60, "height": 80}] for n in range(6)]
    found = matrices(tracked.follower_for("auto", None, boxes, None, 6, "hold"), 6)
    expected = transform(
        torch.linalg.inv(torch.cat([box_matrix(45, 20, 105, 100), torch.tensor([[0, 0, 1.0]])]))[:2], TEMPLATE
    )
    assert (brows_and_nose(found[5]) - expected).abs().max() < 2


@pytest.mark.parametrize("nothing", [[], [[], []]])
def test_no_box_is_explained(tracked, nothing):
    error = importlib.import_module(f"{LOADED_AS}.lipforcing.errors").InputError
    with pytest.raises(error, match="no box"):
        tracked.follower_for("auto", None, nothing, None, 2, "hold")


class Detector:
    """The host's detection model: the short-range one sees nothing from the third frame on."""

    def __init__(self) -> None:
        self.calls = []

    def detect_batch(self, images, num_faces, score_thresh, variant):
        self.calls.append((variant, len(images)))
        assert all(image.shape == (*SIZE, 3) and image.dtype == np.uint8 for image in images) and num_faces == 0
        seen = [int(image[0, 0, 0]) for image in images]
        return [[mesh(90, 50)] if variant == "full" or number < 2 else [] for number in seen]


def test_detection_model_looks_again_for_small_faces(tracked):
    model = Detector()
    follower = tracked.follower_for("auto", None, None, model, 5, "hold")
    assert len(matrices(follower, 5)) == 5
    assert model.calls == [("short", 1), ("short", 1), ("full", 1), ("short", 1), ("full", 1)]  # every other frame


@pytest.mark.parametrize(
    "box", [{"x": 200, "y": 10, "width": 50, "height": 50}, {"x": -80, "y": 10, "width": 80, "height": 50}]
)
@pytest.mark.parametrize("given", [lambda box: box, lambda box: [[box]], lambda box: [[], [box]]])
def test_a_box_beside_the_picture_is_refused(tracked, box, given):
    error = importlib.import_module(f"{LOADED_AS}.lipforcing.errors").InputError
    with pytest.raises(error, match="shows nothing of the 200 x 120 picture"):
        tracked.check_boxes(given(box), 200, 120)
    tracked.check_boxes(given({**box, "x": box["x"] / 2}), 200, 120)


@pytest.mark.parametrize("fps", [float("nan"), 0.0, -25.0, 1000.0])
def test_a_rate_that_is_none_is_refused(tracked, fps):
    error = importlib.import_module(f"{LOADED_AS}.lipforcing.errors").InputError
    with pytest.raises(error, match="fps is"), tracked.open_reader(torch.zeros(2, 16, 16, 3), fps):
        pass


def chain(*classes: str) -> dict:
    """A graph in which each class feeds the next one."""
    return {
        str(number): {"class_type": name, "inputs": {"images": [str(number - 1), 0]} if number else {}}
        for number, name in enumerate(classes)
    }


def test_a_clip_in_parts_is_refused(tracked, monkeypatch):
    monkeypatch.setattr(tracked.host, "takes_lists", lambda name: name == "ImageListToBatch")
    error = importlib.import_module(f"{LOADED_AS}.lipforcing.errors").InputError
    with pytest.raises(error, match=r"Rebatch Images \(node 1\)"):
        tracked.refuse_parts(chain("LoadVideo", "RebatchImages", "ImageScale", "LipForcingFaceTrack"), "3", "images")
    tracked.refuse_parts(chain("LoadVideo", "RebatchImages", "ImageListToBatch", "LipForcingFaceTrack"), "3", "images")
    tracked.refuse_parts(chain("LoadVideo", "ImageScale", "LipForcingFaceTrack"), "2", "images")
