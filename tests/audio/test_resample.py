"""Resampling: both back-ends, length, position in time."""

import math

import pytest
import torch

from lipforcing.audio import resample as module
from lipforcing.audio.resample import resample, resample_with_pyav

RATES = [
    (44_100, 16_000),
    (48_000, 16_000),
    (24_000, 16_000),
    (8_000, 16_000),
    (22_050, 16_000),
    (96_000, 16_000),
    (16_000, 48_000),
]


def tones(rate: int, samples: int, top: float, channels: int = 2) -> torch.Tensor:
    """Sum of sines below ``top`` Hz, [channels, samples] within [-1, 1], the same sound at every rate."""
    generator = torch.Generator().manual_seed(5)
    time = torch.arange(samples, dtype=torch.float64) / rate
    frequency = torch.rand(channels, 40, 1, generator=generator, dtype=torch.float64) * top
    phase = 2 * math.pi * torch.rand(channels, 40, 1, generator=generator, dtype=torch.float64)
    return (torch.sin(2 * math.pi * frequency * time + phase).sum(1) / 40).float()


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("function", [resample, resample_with_pyav])
def test_keeps_the_sound_and_its_place(rates, function):
    source, target = rates
    top = 0.4 * min(rates)
    samples = source // 2 + 37
    result = function(tones(source, samples, top), source, target)
    expected = tones(target, -(-samples * target // source), top)
    assert result.shape == expected.shape and result.dtype == torch.float32
    inside = slice(500, -500)
    torch.testing.assert_close(result[:, inside], expected[:, inside], rtol=0, atol=1e-3)


@pytest.mark.parametrize("rates", RATES)
def test_back_ends_agree(rates):
    pytest.importorskip("torchaudio")
    source, _ = rates
    noise = 0.1 * torch.randn(2, source // 2, generator=torch.Generator().manual_seed(1))
    difference = resample(noise, *rates) - resample_with_pyav(noise, *rates)
    assert difference.abs().max() < 1e-3


def test_without_torchaudio(monkeypatch):
    sound = tones(48_000, 5000, 4000)
    monkeypatch.setattr(module, "_torchaudio_resample", lambda: None)
    assert torch.equal(resample(sound, 48_000), resample_with_pyav(sound, 48_000, 16_000))


@pytest.mark.parametrize("samples", [0, 1, 2, 3, 640])
@pytest.mark.parametrize("function", [resample, resample_with_pyav])
def test_short_recordings(samples, function):
    if samples == 0 and function is resample_with_pyav:
        return
    assert function(torch.ones(1, samples), 48_000, 16_000).shape == (1, -(-samples // 3))


def test_same_rate_is_untouched():
    sound = torch.rand(3, 10)
    assert resample(sound, 16_000) is sound


def test_nonsense_rate():
    with pytest.raises(ValueError, match="positive"):
        resample(torch.zeros(1, 5), 0)
