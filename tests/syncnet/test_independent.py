"""Parity with the package syncnet-python (0.2.3 or later), where it is installed: same weights, same inputs."""

import wave
from types import SimpleNamespace

import pytest
import torch

from lipforcing.syncnet import SyncNet, SyncNetConfig, score
from lipforcing.syncnet.windows import AudioTrack, LipTrack

FRAMES = 42


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The package's scorer and network with random weights and statistics, and a clip as it reads it from disk."""
    package = pytest.importorskip("syncnet_python")
    cv2 = pytest.importorskip("cv2")
    generator = torch.Generator().manual_seed(11)
    network = package.SyncNetModel().eval()
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
        elif name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
        elif value.dim() > 1:
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5)
    network.netcnnlip[0].weight.data /= 100
    network.netcnnaud[0].weight.data /= 10
    # Embeddings with a common part: the zero vectors at the clip's ends are far away, the best offset is inside.
    common = 20 * torch.randn(network.netfclip[3].bias.shape, generator=generator)
    network.netfclip[3].bias.data += common
    network.netfcaud[3].bias.data += common

    folder = tmp_path_factory.mktemp("syncnet")
    coarse = torch.rand(FRAMES, 3, 7, 7, generator=generator)
    frames = torch.nn.functional.interpolate(coarse, (224, 224), mode="bicubic").clamp(0, 1).mul(255).byte()
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{index:06d}.jpg"), frame.permute(1, 2, 0).numpy())
    files = sorted(folder.glob("*.jpg"))
    crops = torch.stack([torch.from_numpy(cv2.imread(str(file))).flip(-1) for file in files])
    pcm = (3000 * torch.randn(FRAMES * 640, generator=generator)).clamp(-32768, 32767).to(torch.int16)
    with wave.open(str(folder / "audio.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(pcm.numpy().tobytes())
    options = SimpleNamespace(tmp_dir=str(folder), batch_size=20, vshift=15)
    return package.SyncNetInstance(network, device="cpu"), network, options, crops, pcm


@pytest.mark.slow
def test_parity(case):
    instance, network, options, crops, pcm = case
    model = SyncNet(SyncNetConfig.v2()).eval()
    model.load_state_dict(network.state_dict())
    offset, confidence, distance = instance.evaluate(options)
    ours = score(model, crops, pcm / 32768).padded
    assert ours.offset == offset and abs(offset) < 15
    assert ours.confidence == pytest.approx(confidence, abs=1e-4)
    assert ours.distance == pytest.approx(distance, abs=1e-4)

    features = pytest.importorskip("python_speech_features").mfcc(pcm.numpy(), 16_000)
    windows = torch.from_numpy(features).float().unfold(0, 20, 4)[: FRAMES - 5, None]
    frames = crops.flip(-1).permute(3, 0, 1, 2).float()
    lips = torch.stack([frames[:, i : i + 5] for i in range(6)])
    with torch.no_grad():
        heard = AudioTrack(model, pcm).embeddings(0, FRAMES - 5)
        track = LipTrack(model)
        seen = torch.cat([track(part) for part in crops[:10].split(4)])
        torch.testing.assert_close(heard, network.forward_aud(windows), rtol=0, atol=1e-4)
        torch.testing.assert_close(seen, network.forward_lip(lips), rtol=0, atol=1e-4)
    assert seen.abs().max() > 0.1 and heard.abs().max() > 0.1
