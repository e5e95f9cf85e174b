"""FID and FVD."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipforcing.errors import InputError
from lipforcing.evaluation.frechet import FvdMeasure, frechet_distance, load_fid, load_fvd

from .pictures import noise, pair


def test_frechet_distance_of_known_gaussians():
    generator = torch.Generator().manual_seed(0)
    unit = torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    unit = (unit - unit.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(unit.T))).T  # exactly N(0, 1)
    assert frechet_distance(unit, unit) == pytest.approx(0, abs=1e-6)
    other = 2 * unit + torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    assert frechet_distance(unit, other) == pytest.approx(5 + 3 * (2 - 1) ** 2)


def test_video_distance_takes_sixteen_frames_from_the_twentieth_on():
    seen = []

    def network(video):
        seen.append(video)
        return torch.stack([video.mean(), video.std()])[None]

    measure = FvdMeasure(network)
    assert measure.values() == {}
    for seed in range(3):
        measure.start_clip()
        crops = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, 256, 256, 3) + seed
        for part in crops.split(7):
            measure.update(pair(part, part + 1))
    measure.start_clip()
    measure.update(pair(crops[:9], crops[:9]))  # too short to count
    assert list(measure.values()) == ["fvd"] and len(seen) == 6
    assert seen[0].shape == (1, 3, 16, 224, 224)
    levels = (seen[0][0, 0, :, 0, 0] + 1) * 127.5
    torch.testing.assert_close(levels, torch.arange(20.0, 36.0))


@pytest.mark.slow
def test_inception_comes_from_the_file_alone(tmp_path, monkeypatch):
    inception = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    pytest.importorskip("torchmetrics")
    path = tmp_path / "inception.pth"
    torch.save({}, path)
    torch.manual_seed(0)
    with monkeypatch.context() as patched:
        patched.setattr(inception, "load_state_dict", lambda self, state: None)  # random weights instead
        network = inception("random", ["2048"], str(path))
    with pytest.raises(InputError, match="not the right file"):
        load_fid(path)
    torch.save(network.state_dict(), path)
    same, other = load_fid(path), load_fid(path)
    assert same.values() == {}
    for measure, result in ((same, noise(2)), (other, noise(2) // 4)):
        measure.start_clip()
        measure.update(pair(result, noise(2)))
    assert other.values()["fid"] > 1e6 * abs(same.values()["fid"])  # random features are tiny


def test_i3d_is_a_torchscript_file(tmp_path):
    class Network(nn.Module):
        def forward(self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False):
            return x.mean((2, 3, 4)) * (1.0 if return_features and not rescale and not resize else 0.0)

    path = tmp_path / "i3d.pt"
    torch.jit.script(Network()).save(str(path))
    measure = load_fvd(path)
    for level in (10, 60, 200):
        measure.start_clip()
        crops = torch.full((16, 256, 256, 3), level, dtype=torch.uint8)
        measure.update(pair(crops, crops + 30))
    assert measure.values()["fvd"] == pytest.approx(3 * (30 / 127.5) ** 2, rel=1e-3)
    path.write_text("no network")
    with pytest.raises(InputError, match="TorchScript"):
        load_fvd(path)
