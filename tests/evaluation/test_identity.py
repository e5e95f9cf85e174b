"""ArcFace: its network, its crop, its cosine."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipforcing.errors import InputError
from lipforcing.evaluation.identity import IdentityMeasure, IResNet, arcface_crop, load_arcface

from .pictures import pair


@pytest.mark.parametrize("depths, millions", [((3, 4, 14, 3), 43.6), ((3, 13, 30, 3), 65.2)])
def test_published_sizes_of_arcface(depths, millions):
    with torch.device("meta"):
        network = IResNet(depths)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)
    names = set(network.state_dict())
    assert {"layer3.13.conv2.weight", "layer1.0.downsample.1.running_mean", "features.weight", "prelu.weight"} <= names


def test_arcface_is_read_from_its_file(tmp_path):
    torch.manual_seed(0)
    network = IResNet((1, 2, 1, 1), 8, (2, 3, 4, 5)).eval()
    path = tmp_path / "arcface.pth"
    torch.save(network.state_dict(), path)
    loaded = load_arcface(path)
    x = torch.rand(2, 3, 112, 112)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), network(x))
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="ArcFace"):
        load_arcface(path)


def test_identity_is_the_cosine_of_aligned_faces():
    class Mean(nn.Module):
        """Mean colour as an embedding."""

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


def test_arcface_sees_the_eyes_where_it_expects_them():
    crop = torch.zeros(256, 256, 3, dtype=torch.uint8)
    eyes = 229.6 / 1.16
    for x in (210 - eyes / 2, 210 + eyes / 2):  # in the 420 x 560 crop, 0.295 below the brow anchors
        column, row = round(x * 256 / 420), round((112 + 0.295 * eyes) * 256 / 560)
        crop[row - 4 : row + 5, column - 4 : column + 5] = 255
    face = arcface_crop(crop)[0]
    for columns, x in ((slice(0, 56), 38.3), (slice(56, 112), 73.5)):
        weights = torch.zeros_like(face)
        weights[:, columns] = face[:, columns]
        assert weights.sum() > 0
        ys, xs = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing="ij")
        assert (weights * xs).sum() / weights.sum() == pytest.approx(x, abs=1)
        assert (weights * ys).sum() / weights.sum() == pytest.approx(51.6, abs=1)
