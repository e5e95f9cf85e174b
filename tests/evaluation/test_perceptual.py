"""LPIPS, by region."""

from __future__ import annotations

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.evaluation.perceptual import PerceptualMeasure, load_lpips

from .pictures import INNER, noise, pair


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    torchvision = pytest.importorskip("torchvision")
    pytest.importorskip("torchmetrics")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.alexnet().features.state_dict().items()}
    generator = torch.Generator().manual_seed(2)
    state = {f"features.{name}": 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save(state, path)
    return path


def test_perceptual_distance(alexnet):
    network = load_lpips(alexnet)
    crops = noise(2)
    same = PerceptualMeasure(network)
    same.update(pair(crops, crops))
    assert same.values() == {"lpips_mouth": 0, "lpips_outside": 0}
    changed = PerceptualMeasure(network)
    changed.update(pair(torch.where(INNER[..., None], noise(2, seed=5), crops), crops))
    values = changed.values()
    assert values["lpips_mouth"] > 2 * values["lpips_outside"] > 0


def test_perceptual_weights_come_from_the_file_alone(alexnet, tmp_path):
    state = torch.load(alexnet, weights_only=True)
    network = load_lpips(alexnet)
    loaded = dict(network.net.named_parameters())
    assert len(loaded) == 10
    for name, parameter in loaded.items():
        assert torch.equal(parameter, state["features." + name.partition(".")[2]])
    state.pop("features.10.bias")
    torch.save(state, tmp_path / "part.pth")
    for path, said in ((tmp_path / "part.pth", "features.10.bias"), (tmp_path / "none.pth", "does not exist")):
        with pytest.raises(InputError, match=said):
            load_lpips(path)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(InputError, match="no weights"):
        load_lpips(tmp_path / "text.pth")
