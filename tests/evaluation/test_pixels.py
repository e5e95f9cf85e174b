"""SSIM and PSNR, by region."""

from __future__ import annotations

import math

import pytest
import torch

from lipforcing.evaluation.pixels import MOST, PixelMeasure, mask, psnr

from .pictures import INNER, MOUTH, brighter_mouth, noise, pair


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


def test_decibels_of_known_errors():
    assert psnr(255.0**2) == 0 and psnr(6.5025) == pytest.approx(40) and psnr(0.0) == psnr(1e-9) == MOST
    assert mask().tolist() == MOUTH.tolist()
