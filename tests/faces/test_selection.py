"""From what a user says about the face to what follows it."""

from __future__ import annotations

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.faces.align import box_matrix, full_frame_matrix
from lipforcing.faces.follow import DetectingFollower
from lipforcing.faces.mesh_detector import MeshDetector
from lipforcing.faces.selection import detector_for, follower_for
from lipforcing.faces.yunet import YuNetDetector
from lipforcing.faces.yunet_network import YuNet
from lipforcing.media import Frame, ImagePicture

FRAME = Frame(ImagePicture(torch.zeros(48, 64, 3, dtype=torch.uint8)), 0.0, 0, 0)


@pytest.mark.parametrize(
    ("face", "matrix"), [("full", full_frame_matrix(48, 64)), ((10.0, 8.0, 40.0, 44.0), box_matrix(10, 8, 40, 44))]
)
def test_a_face_that_is_known_needs_no_detector(face, matrix):
    ((_, seen),) = follower_for(face, "nowhere.pth").push(FRAME)
    assert torch.equal(seen.sightings[0].matrix, matrix)


@pytest.mark.parametrize("face", ["auto", "center", 1, (30.0, 20.0)])
def test_a_face_that_is_chosen_is_looked_for_with_what_comes_in_the_package(face):
    follower = follower_for(face)
    assert isinstance(follower, DetectingFollower)
    assert follower.push(FRAME)[0][1].sightings == ()  # a black picture


def test_yunet_is_an_option(tmp_path):
    torch.save(YuNet().state_dict(), tmp_path / "yunet.pth")
    assert isinstance(detector_for(None), MeshDetector)
    assert isinstance(detector_for(tmp_path / "yunet.pth"), YuNetDetector)
    assert isinstance(follower_for("auto", tmp_path / "yunet.pth"), DetectingFollower)
    with pytest.raises(InputError, match=r"nowhere\.pth"):
        follower_for("auto", "nowhere.pth")
