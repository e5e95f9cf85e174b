from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from lipforcing.media import ImagePicture
from lipforcing.report import Snapshots


@pytest.mark.parametrize("total, expected", [(120, [10, 30, 50, 70, 90, 110]), (3, [1, 2, 3]), (6, [1, 2, 3, 4, 5, 6])])
def test_pictures_are_spread_over_the_result(total, expected):
    snapshots = Snapshots()
    for done in range(1, total + 1):
        snapshots(done, total, ImagePicture(torch.full((90, 160, 3), done / total)))
    assert [done for done, _ in snapshots.taken] == expected
    for done, link in snapshots.links():
        kind, _, data = link.partition(",")
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        assert kind == "data:image/jpeg;base64" and picture.size == (160, 90)
        assert np.asarray(picture).mean() == pytest.approx(255 * done / total, abs=2)


def test_large_pictures_are_made_small_in_their_own_shape():
    snapshots = Snapshots()
    snapshots(1, 1, ImagePicture(torch.zeros(1080, 1920, 3)))
    assert Image.open(io.BytesIO(snapshots.taken[0][1])).size == (320, 180)
