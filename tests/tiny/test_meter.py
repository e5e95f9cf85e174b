"""The instrument itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.tiny import family
from lipforcing.tiny.meter import MouthMeter, correlation

SPEECH = Path(__file__).parents[1] / "data" / "unseen_speech.safetensors"
SIZE = (family.CROP_SIZE, family.CROP_SIZE)
UNSEEN_PEOPLE = 55_000_000


def test_the_meter_reads_drawn_mouths():
    """The instrument itself, on people and mouths it was not trained on."""
    mouth = load_file(SPEECH)["mouth"][0]
    pictures = render(Identity.sample(UNSEEN_PEOPLE + 99), mouth, sample_head(5, len(mouth)), SIZE)
    with torch.inference_mode():
        read = family.load("meter")(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert correlation(read[:, 0], mouth[:, 0]) > 0.95


def test_only_the_mouth_is_looked_at_and_at_any_size():
    meter = MouthMeter().eval()
    crops = torch.rand(2, 3, 128, 128) * 2 - 1
    other = crops.clone()
    other[:, :, :60], other[:, :, :, 96:] = 0, 0
    with torch.inference_mode():
        assert torch.equal(meter(crops), meter(other)) and meter(crops).shape == (2, 5)
        assert meter(torch.zeros(1, 3, 256, 192)).shape == (1, 5)


def test_correlation():
    a = torch.tensor([0.0, 1.0, 2.0, 4.0])
    assert correlation(a, 3 * a - 1) == pytest.approx(1) and correlation(a, -a) == pytest.approx(-1)
