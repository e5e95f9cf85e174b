"""The network of YuNet."""

from __future__ import annotations

import pytest
import torch

from lipforcing.faces import yunet
from lipforcing.faces.yunet_network import YuNet


def kornias_network() -> torch.nn.Module:
    """The network as kornia has it, whose place and name depend on the version."""
    contrib = pytest.importorskip("kornia.contrib.face_detection")
    return getattr(contrib, "YuNet", None) or contrib.YuFaceDetectNet


def test_network_is_that_of_kornia():
    torch.manual_seed(0)
    theirs, ours = kornias_network()("test", pretrained=False).eval(), YuNet().eval()
    for name, value in theirs.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and "running" in name:
            value.normal_()
    ours.load_state_dict(theirs.state_dict())
    pixels = torch.rand(2, 3, 96, 160) * 255
    with torch.inference_mode():
        expected = theirs(pixels)
        found = ours(pixels)
    wanted = (expected["loc"], expected["conf"][..., 1], expected["iou"][..., 0])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, wanted, strict=True))
    assert found[0].shape == (2, len(yunet._priors(96, 160)), 14)
