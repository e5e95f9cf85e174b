"""ArcFace's network and its file."""

from __future__ import annotations

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.evaluation.arcface import IResNet, load_arcface


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
