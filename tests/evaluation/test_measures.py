"""Every metric on pictures whose value is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lipforcing.errors import InputError
from lipforcing.evaluation.batches import Batch
from lipforcing.evaluation.frechet import FvdMeasure, frechet_distance, load_fid, load_fvd
from lipforcing.evaluation.identity import IdentityMeasure, IResNet, arcface_crop, load_arcface
from lipforcing.evaluation.mouth import MouthMeasure, dlib_mouth, mouth_distance
from lipforcing.evaluation.perceptual import PerceptualMeasure, load_lpips
from lipforcing.evaluation.pixels import PixelMeasure
from lipforcing.faces.mask import mouth_mask

MOUTH = mouth_mask()
INNER = torch.nn.functional.max_pool2d(1 - MOUTH.float()[None], 31, 1, 15)[0] == 0  # far from the mask's edge


def noise(frames: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(30, 200, (frames, 256, 256, 3), generator=generator, dtype=torch.uint8)


def pair(result: torch.Tensor, reference: torch.Tensor) -> Batch:
    square = torch.tensor([128.0, 128.0, 100.0])
    return Batch(list(result), list(reference), result, reference, [(square, square)] * len(result))


def brighter_mouth(crops: torch.Tensor, by: int, where: torch.Tensor = MOUTH) -> torch.Tensor:
    return torch.where(where[..., None], crops + by, crops).to(torch.uint8)


def test_signal_to_noise_is_measured_where_it_is_said_to_be():
    pytest.importorskip("skimage")
    crops = noise(3)
    measure = PixelMeasure()
    measure.update(pair(brighter_mouth(crops[:2], 10), crops[:2]))
    measure.update(pair(brighter_mouth(crops[2:], 10), crops[2:]))
    values = measure.values()
    assert values["psnr_mouth"] == pytest.approx(20 * math.log10(25.5)) and values["psnr_outside"] == 100


def test_structural_similarity_is_measured_where_it_is_said_to_be():
    pytest.importorskip("skimage")
    crops = noise(1)
    measure = PixelMeasure()
    measure.update(pair(torch.where(INNER[..., None], noise(1, seed=5), crops), crops))
    values = measure.values()
    assert values["ssim_outside"] == pytest.approx(1) and values["ssim_mouth"] < 0.6
    share = MOUTH.float().mean().item()
    # the library's mean leaves out a rim of three pixels
    assert values["ssim_face"] == pytest.approx(share * values["ssim_mouth"] + (1 - share), abs=0.03)


def test_mouth_distance():
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]])
    assert mouth_distance(points + torch.tensor([30.0, -7.0]), points) == 0
    wider = points * torch.tensor([1.5, 1.0])
    assert mouth_distance(wider, points) == pytest.approx(1)

    def finder(picture, square):
        return wider if picture[0, 0, 0] else points

    frames = torch.zeros(2, 256, 256, 3, dtype=torch.uint8)
    measure = MouthMeasure(finder)
    measure.update(pair(frames + 1, frames))
    assert measure.values() == {"lmd": pytest.approx(1), "lmd_face": pytest.approx(0.5)}


def test_landmarks_ask_for_their_package_or_file(tmp_path):
    with pytest.raises(InputError, match=r"dlib"):
        dlib_mouth(tmp_path / "nowhere.dat")


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


def test_mouth_landmarks_of_dlib_lie_in_the_faces_square(tmp_path):
    """A predictor trained here on noise says the mean shape, wherever the face is."""
    dlib = pytest.importorskip("dlib")
    shape = [(x / 100, y / 100) for x, y in zip(range(10, 78), range(88, 20, -1))]
    generator = torch.Generator().manual_seed(0)
    pictures, faces = [], []
    for left, top, side in ((10, 20, 100), (40, 30, 80)):
        box = dlib.rectangle(left, top, left + side, top + side)
        points = [dlib.point(round(left + x * side), round(top + y * side)) for x, y in shape]
        pictures.append(torch.randint(0, 256, (160, 160, 3), generator=generator, dtype=torch.uint8).numpy())
        faces.append([dlib.full_object_detection(box, points)])
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.num_trees_per_cascade_level, options.tree_depth = 1, 1, 1
    predictor = dlib.train_shape_predictor(pictures, faces, options)
    predictor.save(str(tmp_path / "points.dat"))
    points = dlib_mouth(tmp_path / "points.dat")
    found = points(torch.zeros(200, 200, 3, dtype=torch.uint8), torch.tensor([110.0, 90.0, 50.0]))
    wanted = torch.tensor(shape[48:]) * 100 + torch.tensor([60.0, 40.0])
    assert found.shape == (20, 2) and (found - wanted).norm(dim=1).mean() < 2
    (tmp_path / "text.dat").write_text("no model")
    with pytest.raises(InputError, match="no landmark model"):
        dlib_mouth(tmp_path / "text.dat")


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
