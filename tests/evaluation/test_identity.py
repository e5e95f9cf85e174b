"""Identity: its networks by their files, its crops, its cosine."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipforcing.errors import InputError
from lipforcing.evaluation.arcface import IResNet
from lipforcing.evaluation.dlib_resnet import DlibResNet
from lipforcing.evaluation.identity import IdentityMeasure, eyes_crop, load_identity

from .pictures import pair


def test_a_file_that_is_neither_is_refused(tmp_path):
    (tmp_path / "face.bin").write_bytes(b"0" * 64)
    with pytest.raises(InputError, match="manifest"):
        load_identity(tmp_path / "face.bin")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "face.pth")
    with pytest.raises(InputError, match="ArcFace"):
        load_identity(tmp_path / "face.pth")


def test_identity_is_the_cosine_of_aligned_faces():
    class Mean(nn.Module):
        """Mean colour as an embedding."""

        size, eyes = 112, IResNet.eyes

        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x.mean((2, 3))

    red, green = torch.zeros(2, 256, 256, 3, dtype=torch.uint8), torch.zeros(2, 256, 256, 3, dtype=torch.uint8)
    red[..., 0] = green[..., 1] = 255
    measure = IdentityMeasure(Mean())
    measure.update(pair(red, red))
    assert measure.values() == {"identity_face": pytest.approx(1), "identity_frame": pytest.approx(1)}
    measure.update(pair(red, green))
    one_third = torch.nn.functional.cosine_similarity(torch.tensor([1.0, -1, -1]), torch.tensor([-1.0, 1, -1]), dim=0)
    assert measure.values()["identity_face"] == pytest.approx((1 + one_third.item()) / 2)


@pytest.mark.parametrize("network", [IResNet, DlibResNet])
def test_a_network_sees_the_eyes_where_it_expects_them(network):
    size = network.size
    crop = torch.zeros(256, 256, 3, dtype=torch.uint8)
    eyes = 229.6 / 1.16
    for x in (210 - eyes / 2, 210 + eyes / 2):  # in the 420 x 560 crop, 0.295 below the brow anchors
        column, row = round(x * 256 / 420), round((112 + 0.295 * eyes) * 256 / 560)
        crop[row - 4 : row + 5, column - 4 : column + 5] = 255
    face = eyes_crop(crop, size, network.eyes)[0]
    for columns, (x, y) in zip((slice(0, size // 2), slice(size // 2, size)), network.eyes):
        weights = torch.zeros_like(face)
        weights[:, columns] = face[:, columns]
        assert weights.sum() > 0
        ys, xs = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
        assert (weights * xs).sum() / weights.sum() == pytest.approx(x, abs=1)
        assert (weights * ys).sum() / weights.sum() == pytest.approx(y, abs=1)
