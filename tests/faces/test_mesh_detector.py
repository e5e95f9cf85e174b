"""Faces are found and followed with what comes in the package, and only where there are some."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lipforcing.faces.align import TEMPLATE, similarity
from lipforcing.faces.landmarks import anchors
from lipforcing.faces.mesh_detector import CHEEKS, DRAWN_LAYOUT, MeshDetector, yaw
from lipforcing.faces.warp import transform
from lipforcing.media import ImagePicture, VideoReader
from lipforcing.session import NO_FACE
from lipforcing.tiny.family import SAMPLES

from . import drawings
from .faceless import faceless

HEAD = (192, 144)  # height and width of a drawn head in the pictures below


@pytest.fixture(scope="module")
def detector() -> MeshDetector:
    return MeshDetector(layout=DRAWN_LAYOUT)


@pytest.fixture(scope="module")
def heads() -> list[torch.Tensor]:
    """Two drawn people, uint8 [192, 144, 3]."""
    images = [next(iter(VideoReader(SAMPLES / f"{name}.mp4").frames())).picture.rgb() for name in ("ada", "ben")]
    small = [F.interpolate(image.permute(2, 0, 1)[None].float(), HEAD, mode="area") for image in images]
    return [one[0].permute(1, 2, 0).round().to(torch.uint8) for one in small]


def picture(heads: list[torch.Tensor], corners: list[tuple[int, int]]) -> ImagePicture:
    """The heads on grey, upper left corners (x, y)."""
    image = torch.full((360, 640, 3), 120, dtype=torch.uint8)
    for head, (x, y) in zip(heads, corners):
        image[y : y + HEAD[0], x : x + HEAD[1]] = head
    return ImagePicture(image)


def picture_of(image) -> ImagePicture:
    return ImagePicture(torch.from_numpy(np.array(image)))


def test_people_are_found_where_they_are(detector, heads):
    faces = detector(picture(heads, [(60, 40), (400, 150)]))
    assert len(faces) == 2
    left, right = sorted(faces, key=lambda face: float(face.box[0]))
    for face, (x, y) in ((left, (60, 40)), (right, (400, 150))):
        # A bundled clip is a face crop: its anchors lie where the template says.
        expected = torch.tensor([x, y]) + (TEMPLATE + 0.5) * (HEAD[1] / 420) - 0.5
        assert (anchors(face) - expected).norm(dim=1).max() < 0.03 * HEAD[1]
        middle = (face.box[:2] + face.box[2:]) / 2
        assert (middle - torch.tensor([x + HEAD[1] / 2, y + HEAD[0] * 0.4])).abs().max() < 16
        assert face.score > 0.9 and face.yaw < 15


@pytest.mark.parametrize("name", ["ada", "ben"])
@pytest.mark.parametrize("style", [drawings.painted, drawings.sketched], ids=lambda style: style.__name__)
def test_painted_and_sketched_people_are_found(detector, name, style):
    head = next(iter(VideoReader(SAMPLES / f"{name}.mp4").frames())).picture.rgb().numpy()
    (face,) = detector(picture_of(style(drawings.Image.fromarray(head))))
    middle = (face.box[:2] + face.box[2:]) / 2
    assert (middle - torch.tensor([320.0, 240.0])).abs().max() < 80 and face.score > 0.9


def test_of_other_drawings_what_looks_like_a_person_is_found(detector):
    """For animals and symbols there is a box, and the sentence of `NO_FACE` says so."""
    assert len(detector(picture_of(drawings.animated()))) == 1
    assert detector(picture_of(drawings.cat())) == detector(picture_of(drawings.smiley())) == []
    assert "a box" in NO_FACE


def test_known_faces_are_followed_without_a_detector(detector, heads, monkeypatch):
    known = detector(picture(heads, [(60, 40), (400, 150)]))
    monkeypatch.setattr(detector, "_detections", lambda _: pytest.fail("was searched"))
    moved = detector(picture(heads, [(69, 36), (394, 154)]), known, search=False)
    assert len(moved) == 2
    for face in moved:
        before = min(known, key=lambda one: (one.box - face.box).abs().sum())
        step = (9.0, -4.0) if face.box[0] < 300 else (-6.0, 4.0)
        assert torch.allclose(anchors(face) - anchors(before), torch.tensor(step), atol=1.5)


def test_what_is_known_is_found_once_and_others_are_found_beside_it(detector, heads):
    known = detector(picture(heads[:1], [(60, 40)]))
    assert len(known) == 1
    assert len(detector(picture(heads, [(60, 40), (400, 150)]), known, search=False)) == 1
    assert len(detector(picture(heads, [(60, 40), (400, 150)]), known, search=True)) == 2


def test_who_is_gone_is_looked_for(detector, heads):
    known = detector(picture(heads[:1], [(60, 40)]))
    (found,) = detector(picture(heads[:1], [(420, 100)]), known, search=False)
    assert found.box[0] > 380
    assert detector(picture([], []), known, search=False) == []


def test_nobody_is_found_in_pictures_without_a_face(detector):
    names = [name for name, image in faceless() if detector(ImagePicture(image))]
    assert names == []


def test_what_covers_a_drawn_mouth_is_not_asked(detector, heads):
    """The mesh's lips do not follow drawn ones, so only faces of the other layout bring their colours."""
    (drawn,) = detector(picture(heads[:1], [(60, 40)]))
    (real,) = MeshDetector()(picture(heads[:1], [(60, 40)]))
    assert drawn.texture is None
    assert real.texture.shape == (len(real.points), 3) and 0 <= real.texture.amin() < real.texture.amax() <= 1


def test_boxes_have_usual_proportions(detector, heads):
    (face,) = detector(picture(heads[:1], [(60, 40)]))
    width, height = (face.box[2:] - face.box[:2]).tolist()
    scale = float(similarity(anchors(face))[:, 0].norm())
    assert (width * scale, height * scale) == pytest.approx((406, 551), abs=0.1)
    centre = transform(similarity(anchors(face))[None], ((face.box[:2] + face.box[2:]) / 2)[None])[0, 0]
    assert centre.tolist() == pytest.approx([210, 215], abs=0.1)


@pytest.mark.parametrize("degrees", [-70, -30, 0, 45])
def test_yaw_is_the_angle_of_the_cheeks(degrees):
    turn, points = math.radians(degrees), torch.zeros(468, 3)
    for index, side in zip(CHEEKS, (-1, 1)):
        points[index] = torch.tensor([50 + side * 40 * math.cos(turn), 60.0, side * 40 * math.sin(turn)])
    assert yaw(points) == pytest.approx(abs(degrees), abs=0.01)
