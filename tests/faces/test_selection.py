"""From what a user says about the face to what follows it."""

from __future__ import annotations

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.faces.align import box_matrix, full_frame_matrix
from lipforcing.faces.follow import DetectingFollower
from lipforcing.faces.selection import follower_for
from lipforcing.faces.yunet_network import YuNet
from lipforcing.media import Frame, ImagePicture

FRAME = Frame(ImagePicture(torch.zeros(48, 64, 3, dtype=torch.uint8)), 0.0, 0, 0)


@pytest.mark.parametrize(
    ("face", "matrix"), [("full", full_frame_matrix(48, 64)), ((10.0, 8.0, 40.0, 44.0), box_matrix(10, 8, 40, 44))]
)
def test_a_face_that_is_known_needs_no_detector(face, matrix):
    ((_, seen),) = follower_for(face, "nowhere.pth").push(FRAME)
    assert torch.equal(seen.sightings[0].matrix, matrix)


def test_auto_detects(tmp_path):
    torch.save(YuNet().state_dict(), tmp_path / "yunet.pth")
    assert isinstance(follower_for("auto", tmp_path / "yunet.pth"), DetectingFollower)
    with pytest.raises(InputError, match=r"nowhere\.pth"):
        follower_for("auto", "nowhere.pth")
