"""The codec's recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.codecs.base import decode, encode
from lipforcing.codecs.tiny import TinyCodec
from lipforcing.tiny.train import codec
from lipforcing.tiny.train.codec import edges, initialise, moment_loss, reconstruction_loss


def test_losses_are_zero_for_what_is_right():
    x = torch.rand(1, 3, 2, 8, 8)
    assert reconstruction_loss(x, x, torch.ones(1)) == 0 and reconstruction_loss(x + 0.1, x, torch.ones(1)) > 0.09
    across, down = edges(x)
    assert across.shape[-1] == 7 and down.shape[-2] == 7
    latents = torch.randn(8, 16, 4, 16, 16)
    assert moment_loss(latents) < 0.01 < moment_loss(2 * latents)


def test_it_starts_as_principal_components():
    """Latents of unit variance, and pictures that are recognisable before the first step."""
    torch.manual_seed(0)
    video = torch.nn.functional.interpolate(torch.rand(200, 3, 1, 3, 3) * 2 - 1, (4, 16, 16), mode="trilinear")
    model = initialise(TinyCodec(), video)
    with torch.inference_mode():
        latents = encode(model, video[:, :, :1])
        result = decode(model, latents)
    assert latents.mean().abs() < 0.2 and 0.5 < latents.var() < 2
    assert (result - video[:, :, :1]).abs().mean() < 0.1


def test_a_few_steps(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    for name, value in {"PEOPLE": 4, "BATCH": 2, "PATCH": 32, "RECIPE": replace(codec.RECIPE, iterations=2)}.items():
        monkeypatch.setattr(codec, name, value)
    model = codec.run(tmp_path)
    assert isinstance(model, TinyCodec) and all(p.isfinite().all() for p in model.parameters())
    assert (tmp_path / "codec.csv").read_text().startswith("step,seconds,loss,l1,moments")
