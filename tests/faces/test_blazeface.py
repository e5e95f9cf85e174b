"""Face detection: sampling, merging, thumbnails, faces large and small, pictures without any."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lipforcing.faces.blazeface import Detection, FaceDetector, _united, detect_faces, letterbox, load_network
from lipforcing.faces.blazeface_networks import ShortRange

from . import pictures
from .faceless import faceless


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


@pytest.fixture(scope="module")
def drawn() -> dict[str, torch.Tensor]:
    """uint8 [384, 288, 3] frames by name."""
    return {name: torch.from_numpy(picture) for name, picture in pictures.drawn()}


def canvas(height: int, width: int, *placed: tuple[torch.Tensor, int, int]) -> torch.Tensor:
    """A grey picture [1, H, W, 3] with others at (x, y)."""
    result = torch.full((1, height, width, 3), 110, dtype=torch.uint8)
    for picture, x, y in placed:
        result[0, y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return result


def shrunk(picture: torch.Tensor, height: int, width: int) -> torch.Tensor:
    pixels = F.interpolate(picture.permute(2, 0, 1)[None], size=(height, width), mode="bilinear", antialias=True)
    return pixels[0].permute(1, 2, 0)


def test_the_letterbox_reads_every_other_pixel_of_a_picture_of_twice_its_size():
    picture = torch.randint(0, 256, (1, 100, 64, 3), dtype=torch.uint8)
    square = letterbox(picture, 50)
    assert torch.equal(square[:, :, :, 9:41].permute(0, 2, 3, 1), picture[:, ::2, ::2].float())
    assert (square[..., :9] == 0).all() and (square[..., 41:] == 0).all()
    assert torch.equal(letterbox(picture / 255, 50), square)


def test_the_letterbox_mixes_neighbours_in_whole_levels():
    picture = torch.tensor([0, 101, 7, 32]).to(torch.uint8).view(1, 1, 4, 1).expand(1, 4, 4, 3)
    # Columns 0, 4/3 and 8/3; 4/3 is 43/32 and 8/3 is 85/32.
    expected = torch.tensor([0.0, round(101 * 21 / 32 + 7 * 11 / 32), round(7 * 11 / 32 + 32 * 21 / 32)])
    assert torch.equal(letterbox(picture, 3)[0, 0, 0], expected)


def test_overlapping_candidates_are_averaged_by_score():
    class Network(torch.nn.Module):
        input_size = 8
        anchors = torch.tensor([[4.0, 4.0], [4.0, 4.0], [1.0, 1.0], [4.0, 4.0]])

        def forward(self, x):
            offsets = torch.zeros(len(x), 4, 16)
            offsets[..., 2:4] = torch.tensor([[4.0, 4.0], [4.0, 2.0], [1.0, 1.0], [4.0, 4.0]])
            offsets[:, :, 4:] = torch.tensor([0.0, 1.0, 2.0, 9.0])[:, None]
            return offsets, torch.tensor([0.6, 0.8, 0.7, 0.4]).logit().expand(len(x), 4)

    faces = detect_faces(Network(), 0.5, torch.zeros(1, 16, 16, 3))[0]
    assert [face.score for face in faces] == pytest.approx([0.8, 0.7])
    # Half-way between 4 +- (2, 2) and 4 +- (2, 1) by 6 : 8, twice as large in the picture.
    assert faces[0].box.tolist() == pytest.approx([4, 8 - 2 * (6 * 2 + 8) / 14, 12, 8 + 2 * (6 * 2 + 8) / 14])
    assert torch.allclose(faces[0].keypoints, torch.full((6, 2), 8 + 2 * 8 / 14))
    assert faces[1].box.tolist() == pytest.approx([1, 1, 3, 3])


def test_of_a_face_that_both_networks_find_the_better_score_counts():
    boxes = [[458.0, 566.0, 789.0, 896.0], [563.0, 652.0, 744.0, 833.0], [700.0, 600.0, 900.0, 800.0]]
    loose, tight, neighbour = (
        Detection(torch.tensor(box), torch.zeros(6, 2), score) for box, score in zip(boxes, (0.74, 0.84, 0.9))
    )
    assert _united([loose, tight, neighbour]) == [neighbour, tight]


def test_a_drawn_face_lies_where_it_was_put(detector, drawn):
    (there,), (moved,) = detector.detect(torch.cat([canvas(400, 400, (drawn["ada0"], x, 10)) for x in (20, 70)]))
    left, right, nose, mouth, left_ear, right_ear = there.keypoints
    assert left_ear[0] < left[0] < nose[0] < right[0] < right_ear[0] and left[1] < nose[1] < mouth[1]
    assert (there.box[:2] < there.keypoints.amin(0) + 15).all() and (there.box[2:] > nose).all()
    assert torch.allclose(moved.keypoints, there.keypoints + torch.tensor([50.0, 0.0]), atol=4)


def test_faces_near_and_far_in_one_picture(detector, drawn):
    far = shrunk(drawn["ben0"], 96, 72)
    picture = canvas(480, 640, (drawn["ada0"], 20, 40), (far, 480, 60))
    near, small = sorted(detector.detect(picture)[0], key=lambda face: face.box[0])
    assert near.box[2] < 320 and near.box[2] - near.box[0] > 120
    assert small.box[0] > 470 and small.box[2] - small.box[0] < 70
    scores = [face.score for face in detector.detect(picture)[0]]
    assert scores == sorted(scores, reverse=True)
    assert len(detect_faces(load_network(ShortRange()), 0.7, picture)[0]) == 1  # the far one takes the other network


def test_a_thumbnail_serves_as_well(detector, drawn):
    picture = canvas(1080, 1920, (drawn["ada0"].repeat_interleave(2, 0).repeat_interleave(2, 1), 700, 200))
    thumbnail = shrunk(picture[0], 108, detector.input_size)[None]
    (whole,), (small,) = detector.detect(picture)[0], detector.detect(thumbnail, (1080, 1920))[0]
    side = float((whole.box[2:] - whole.box[:2]).max())
    assert torch.allclose(small.box, whole.box, atol=0.04 * side)
    assert torch.allclose(small.keypoints, whole.keypoints, atol=0.04 * side)
    assert isinstance(small, Detection) and detector.detect(thumbnail)[0][0].box[2] < detector.input_size


def test_pictures_do_not_depend_on_those_beside_them(detector, drawn):
    batch = torch.stack([drawn["ada0"], drawn["ben0"], torch.zeros_like(drawn["ada0"])] * 3 + [drawn["ben50"]])
    together = detector.detect(batch)
    assert [len(faces) for faces in together] == [1, 1, 0] * 3 + [1]
    (alone,) = detector.detect(batch[-1:])[0]
    assert torch.allclose(alone.box, together[-1][0].box, atol=1e-2)


def test_no_face_in_pictures_without_one(detector):
    named = list(faceless())
    assert len(named) == 78
    found = detector.detect(torch.stack([picture for _, picture in named]))
    assert [name for (name, _), faces in zip(named, found) if faces] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", pictures.RECORDINGS)
def test_a_face_in_every_frame_of_a_recording(clips, detector, name):
    frames = pictures.frames(clips / f"{name}.mp4", 1, 250)
    counts = [len(detector.detect(torch.from_numpy(picture)[None])[0]) for _, picture in frames]
    assert counts == [1] * len(counts)
