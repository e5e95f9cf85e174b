"""Networks of MediaPipe's detectors: their names, their anchors, their padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lipforcing.faces.blazeface_networks import VALUES, FullRange, SameConv2d, ShortRange


def test_key_names_are_those_of_the_host():
    short, full = ShortRange().state_dict(), FullRange().state_dict()
    assert len(short) == 74 and len(full) == 182
    assert {"stem.bias", "blocks.15.depthwise.weight", "blocks.0.pointwise.bias", "cls_16.weight", "reg_8.bias"} < {
        *short
    }
    assert {"backbone.14.pw2.weight", "lateral_convs.2.bias", "top_conv.weight", "decoder_levels.2.0.dw1.bias"} < {
        *full
    }
    assert {"decoder_reduce_convs.1.weight", "cls_conv.bias", "cls_dw.weight", "reg_conv.bias", "reg_dw.weight"} < {
        *full
    }


@pytest.mark.parametrize("kind", [ShortRange, FullRange])
def test_every_anchor_lies_in_the_picture_and_gets_its_values(kind):
    network = kind().eval()
    with torch.inference_mode():
        offsets, logits = network(torch.zeros(2, 3, kind.input_size, kind.input_size))
    count = len(network.anchors)
    assert offsets.shape == (2, count, VALUES) and logits.shape == (2, count)
    assert (network.anchors > 0).all() and (network.anchors < kind.input_size).all()


def test_an_odd_pixel_of_padding_goes_behind():
    """TensorFlow's "SAME": with a stride of two, three rows see one pixel behind the picture and none before."""
    convolution = SameConv2d(1, 1, 3, 2)
    torch.nn.init.ones_(convolution.weight)
    torch.nn.init.zeros_(convolution.bias)
    x = torch.rand(1, 1, 6, 6)
    expected = F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2) * 9
    torch.testing.assert_close(convolution(x), expected)
