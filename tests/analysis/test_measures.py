"""Figures of an estimate."""

from __future__ import annotations

import pytest
import torch

from lipforcing.analysis.clips import Clip
from lipforcing.analysis.measures import Instruments, Measures, levels, video
from lipforcing.models.config import tiny


@pytest.fixture(scope="module")
def measures() -> Measures:
    """A grey clip with a dark bar in the place of the mouth, which opens and closes."""
    pictures = torch.full((45, 128, 128, 3), 140, dtype=torch.uint8)
    for n in range(45):
        half = 1 + n % 8
        pictures[n, 92 - half : 92 + half, 50:78] = 30
    waveform = 0.1 * torch.randn(45 * 640, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return Measures(Clip("bars", pictures, pictures.flip(0), waveform), Instruments())


@torch.inference_mode()
def test_the_truth_is_its_own_measure(measures):
    found = measures(measures.decode(measures.truth))
    assert found["mouth_error"] == 0 and found["landmarks"] == 0
    assert found["opening"] == pytest.approx(1, abs=1e-5) and found["amplitude"] == pytest.approx(1)
    assert found["sync_c"] >= 0 and found["sync_d"] > 0


@torch.inference_mode()
def test_errors_are_measured_in_the_mouth_alone(measures):
    worse = measures.truth.clone()
    worse[..., :2, :] += 1.0  # the first sixteen rows of pixels
    assert measures.mouth_error(measures.decode(worse)) < 0.01
    moved = measures.moved(measures.pictures, measures.decode(worse))
    assert moved["rest"] > 1 > 100 * moved["mouth"]
    still = measures.truth.clone()
    still[..., 8:, :] = measures.truth[:, :, :1, 8:]
    found = measures(measures.decode(still))
    assert found["mouth_error"] > 1 and found["landmarks"] > 0.01 and found["amplitude"] < 0.5


@torch.inference_mode()
def test_the_teacher_is_given_the_other_mouth(measures):
    inputs = measures.inputs(tiny())
    assert torch.equal(inputs.ref_sequence, measures.source) and not torch.allclose(measures.source, measures.truth)
    assert inputs.audio.shape == (1, 45, tiny().audio_dim) and inputs.mouth_mask.any()
    pictures = levels(measures.decode(inputs.masked_video)).float()
    assert (pictures[:, 88:96, 55:73] - 127.5).abs().mean() < 20  # greyed out


def test_pictures_come_back():
    pictures = torch.randint(0, 255, (2, 4, 6, 3), dtype=torch.uint8)
    assert torch.equal(levels(video(pictures)[0].transpose(0, 1)), pictures)
