"""Anchors are calmed without lagging behind."""

from __future__ import annotations

import pytest
import torch

from lipforcing.faces.align import TEMPLATE
from lipforcing.faces.smooth import STEP, TRUST, AnchorFilter

CROP_SCALE = 0.5  # crop pixels per image pixel: a face larger than the crop
FACE = TEMPLATE / CROP_SCALE + torch.tensor([300.0, 200.0])


def smoothed(measured: torch.Tensor, step: float = STEP) -> torch.Tensor:
    anchor_filter = AnchorFilter()
    return torch.stack([anchor_filter.update(anchors, step) for anchors in measured])


def test_jitter_of_a_still_face_is_at_least_halved():
    torch.manual_seed(0)
    measured = FACE + torch.randn(200, 3, 2)  # half a pixel of the crop
    result = smoothed(measured)[40:]
    assert result.std(0).mean() < measured[40:].std(0).mean() / 2
    assert result.diff(dim=0).std(0).mean() < measured[40:].diff(dim=0).std(0).mean() / 4


@pytest.mark.parametrize("speed", [0.5, 2.0, 8.0, 30.0])
def test_constant_velocity_is_followed_within_a_pixel(speed):
    steps = torch.arange(60.0)[:, None, None] * torch.tensor([speed, -speed / 2])
    lag = (smoothed(FACE + steps) - (FACE + steps)).norm(dim=-1) * CROP_SCALE
    assert lag.max() <= TRUST / 4 + 0.01  # from a standing start
    assert lag[20:].max() < 1
    assert lag[-5:].max() < 0.2


def test_whatever_happens_the_result_stays_near_the_measurement():
    torch.manual_seed(0)
    leaps = FACE + torch.randn(100, 1, 2) * torch.logspace(0, 2.5, 100)[:, None, None]
    distance = (smoothed(leaps) - leaps).norm(dim=-1).mean(-1) * CROP_SCALE
    assert distance.max() <= 2 * TRUST / 4


def test_a_leap_is_believed_at_once():
    leap = torch.cat([FACE.expand(10, 3, 2), (FACE + 80).expand(1, 3, 2)])
    assert torch.allclose(smoothed(leap)[-1], leap[-1], atol=0.1)


def test_coasting_runs_out():
    anchor_filter = AnchorFilter()
    for step in range(30):
        last = anchor_filter.update(FACE + step * 4.0, STEP)
    coasted = torch.stack([anchor_filter.coast(STEP) for _ in range(20)])
    moved = (coasted - last)[:, 0, 0]
    assert 2.0 < moved[0] < 4.0 and 4.0 < moved[-1] < 7.0


@pytest.mark.parametrize("rate", [12.5, 50, 60])
def test_any_rate_of_measurements_follows_alike(rate):
    """A head that sways: the smoothed path is the same within a pixel of the crop whatever the frame rate."""

    def path(per_second: float) -> torch.Tensor:
        times = torch.arange(0, 4, 1 / per_second)
        sway = 60 * torch.sin(2 * times)[:, None, None] * torch.tensor([1.0, 0.3])
        return smoothed(FACE + sway, 1 / per_second) - (FACE + sway)

    at_25, at_rate = path(25), path(rate)
    assert at_rate.norm(dim=-1).mean() * CROP_SCALE < 1 and at_25.norm(dim=-1).mean() * CROP_SCALE < 1


@pytest.mark.parametrize("rate", [12.5, 50])
def test_coasting_lasts_as_long_at_any_rate(rate):
    def far(per_second: float) -> float:
        anchor_filter = AnchorFilter()
        for step in range(round(per_second)):
            last = anchor_filter.update(FACE + step / per_second * 100, 1 / per_second)
        for _ in range(round(0.48 * per_second)):
            end = anchor_filter.coast(1 / per_second)
        return float((end - last)[0, 0])

    assert far(rate) == pytest.approx(far(25), rel=0.1)
