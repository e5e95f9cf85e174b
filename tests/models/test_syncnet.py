"""SyncNet's towers: shapes, published key layout, clip pass equals window pass."""

from dataclasses import replace

import pytest
import torch

from lipforcing.models.syncnet import SyncNet, SyncNetConfig

SMALL = SyncNetConfig(image_size=96, lip_channels=(2, 3, 4, 5, 6, 7), audio_channels=(3, 4, 5, 6, 7, 8), embedding=9)


def make(config: SyncNetConfig) -> SyncNet:
    torch.manual_seed(0)
    return SyncNet(config).eval()


def test_published_layout(golden):
    shapes = golden("syncnet").meta["weights_procedure"]["key_shapes"]
    with torch.device("meta"):
        model = SyncNet(SyncNetConfig.v2())
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == shapes
    assert sum(value.numel() for value in model.parameters()) == 13_631_616


@pytest.mark.parametrize("image_size", [64, 96, 130])
def test_sizes_follow_from_the_configuration(image_size):
    model = make(replace(SMALL, image_size=image_size))
    assert model.lip(torch.rand(2, 3, 5, image_size, image_size)).shape == (2, 9)
    assert model.audio(torch.rand(2, 1, 13, 20)).shape == (2, 9)


@torch.no_grad()
def test_clip_pass_equals_windows():
    model = make(SMALL)
    frames = torch.rand(3, 9, 96, 96) * 255
    windows = torch.stack([frames[:, i : i + 5] for i in range(5)])
    torch.testing.assert_close(model.lip_track(frames), model.lip(windows), rtol=1e-4, atol=1e-5)
