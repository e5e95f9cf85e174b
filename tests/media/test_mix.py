"""Recordings are added up in place, at one rate, without clipping."""

from __future__ import annotations

import pytest
import torch

from lipforcing.media import Audio
from lipforcing.media.mix import Mix


def tone(hertz: float, seconds: float, rate: int, level: float = 0.4) -> torch.Tensor:
    return level * torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * rate)) / rate)


def whole(mix: Mix) -> torch.Tensor:
    return torch.cat(list(mix.blocks()), dim=1)


def test_equal_rates_are_added_to_the_sample_and_the_longest_decides():
    a, b = tone(200, 2.5, 16_000), tone(310, 1.1, 16_000)
    mix = Mix([Audio(a[None], 16_000), Audio(b[None], 16_000)])
    expected = a.clone()
    expected[: len(b)] += b
    assert (mix.sample_rate, mix.channels, mix.seconds, mix.gain) == (16_000, 1, 2.5, 1.0)
    torch.testing.assert_close(whole(mix)[0], expected, atol=1e-6, rtol=0)


def test_the_highest_rate_and_stereo_win_and_sound_stays_in_place():
    left = torch.stack((tone(200, 2.0, 48_000), torch.zeros(96_000)))
    click = torch.zeros(1, 8_000)
    click[0, 4_000:4_040] = 0.4
    mix = Mix([Audio(left, 48_000), Audio(click, 8_000)])
    found = whole(mix)
    assert (mix.sample_rate, mix.layout, tuple(found.shape)) == (48_000, "stereo", (2, 96_000))
    energy = found[1].square()
    middle = float((energy * torch.arange(96_000)).sum() / energy.sum())
    assert middle == pytest.approx(24_120, abs=6)  # half a second, to an eighth of a millisecond
    torch.testing.assert_close(found[0, 40_000:], left[0, 40_000:], atol=2e-3, rtol=0)


def test_the_sum_is_turned_down_not_clipped():
    a = tone(200, 1.0, 16_000, 0.9)
    mix = Mix([Audio(a[None], 16_000), Audio(a[None], 16_000)])
    assert mix.gain == pytest.approx(1 / 1.8, rel=1e-3)
    torch.testing.assert_close(whole(mix)[0], a / 0.9, atol=1e-3, rtol=0)


def test_many_channels_become_one():
    six = torch.zeros(6, 16_000)
    six[2] = tone(200, 1.0, 16_000)
    mix = Mix([Audio(six, 16_000)])
    assert mix.channels == 1 and float(whole(mix).abs().max()) > 0.05


def test_a_mix_can_be_listened_to():
    a = tone(200, 1.0, 32_000)
    assert Mix([Audio(a[None], 32_000), Audio(a[None], 32_000)]).mono16k().shape == (16_000,)
