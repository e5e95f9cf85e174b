"""Detection, alignment and paste-back on recordings of real people."""

from __future__ import annotations

from itertools import islice

import av
import pytest
import torch
from kornia.metrics import ssim

from benchmarks import covered
from lipforcing.faces.follow import DetectingFollower
from lipforcing.faces.yunet import YuNetDetector
from lipforcing.media import Frame, ImagePicture

from .pasting import crops_of, pasted, weights_of


@pytest.fixture(scope="module")
def detector(assets):
    return YuNetDetector(assets / "models" / "yunet_final.pth", min_score=0.8)


@pytest.mark.parametrize("thing", ["fingers", "microphone"])
def test_a_covered_mouth_is_left_alone_and_a_free_one_is_not(clips, thing):
    shown = covered.read(clips / "ls_demo1.mp4", covered.FRAMES)
    matrices = [seen.sightings[0].matrix for seen in covered.followed(shown)]  # none is left alone
    painted_on, seconds, left_alone = covered.judged(shown, matrices, thing, None)
    assert painted_on == "0 of 25" and float(seconds) < 0.2 and left_alone == "0 of 20"


def read(path, first: int = 0, last: int | None = None, step: int = 1) -> torch.Tensor:
    with av.open(str(path)) as container:
        pictures = islice(container.decode(video=0), first, last, step)
        return torch.stack([torch.from_numpy(picture.to_ndarray(format="rgb24")) for picture in pictures])


def assert_one_face_each(detector, frames: torch.Tensor) -> None:
    faces = [detector(ImagePicture(frame)) for frame in frames]
    assert [len(found) for found in faces] == [1] * len(frames)
    for (face,) in faces:
        left, right, nose, mouth_left, mouth_right = face.points
        assert left[0] < nose[0] < right[0] and left[1] < nose[1] < mouth_left[1]
        assert mouth_left[0] < mouth_right[0]


def test_a_face_in_frames_of_a_clip(assets, detector):
    assert_one_face_each(detector, read(assets / "clips" / "talkvid_1_input.mp4", step=20))


@pytest.mark.slow
def test_one_face_in_every_frame_of_a_clip(assets, detector):
    assert_one_face_each(detector, read(assets / "clips" / "talkvid_1_input.mp4"))


@pytest.mark.parametrize("clip", ["ls_demo1", "hdtf_1_input"])
def test_an_unchanged_face_is_pasted_back_without_a_trace(assets, detector, clip):
    frames = read(assets / "clips" / f"{clip}.mp4", last=2)
    follower = DetectingFollower(detector)
    numbered = [Frame(ImagePicture(frame), n / 25, n, n) for n, frame in enumerate(frames)]
    seen = [seen for frame in numbered for _, seen in follower.push(frame)]
    seen += [seen for _, seen in follower.finish()]
    matrices = torch.stack([one.sightings[0].matrix for one in seen])
    assert all(one.sightings[0].opacity == 1 for one in seen)
    result = pasted(frames, crops_of(frames, matrices), matrices)
    weight = weights_of(frames, matrices)
    assert torch.equal(result[weight == 0], frames[weight == 0])
    before, after = (video.permute(0, 3, 1, 2).float() / 255 for video in (frames, result))
    similarity = ssim(before, after, 11).mean(1)
    assert similarity[weight > 0.5].mean() > 0.97
    assert (before - after).abs().mean(1)[weight > 0].mean() < 2 / 255
