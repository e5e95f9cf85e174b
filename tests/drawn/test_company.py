import numpy as np
import pytest
import torch

from lipforcing.drawn.company import music, noise, with_company


@pytest.mark.parametrize("made", [noise, music])
def test_company_is_even_and_repeats(made):
    first = made(np.random.default_rng(1), 48000)
    assert first.shape == (48000,) and np.sqrt(np.mean(first**2)) == pytest.approx(1)
    assert np.array_equal(first, made(np.random.default_rng(1), 48000))
    assert not np.allclose(first, made(np.random.default_rng(2), 48000))
    assert np.abs(first[:16000]).max() > 0.1 < np.abs(first[-16000:]).max()


def test_music_has_pitch_and_noise_has_none():
    """Share of the energy in the strongest hundredth of the spectrum."""

    def peaked(track):
        power = np.sort(np.abs(np.fft.rfft(track)) ** 2)
        return power[-len(power) // 100 :].sum() / power.sum()

    shares = {made: [peaked(made(np.random.default_rng(seed), 32000)) for seed in range(6)] for made in (noise, music)}
    assert min(shares[music]) > 0.6


def test_a_third_of_speech_has_company_and_keeps_its_place():
    speech = torch.sin(torch.arange(32000) / 20) * 0.5
    mixed = [with_company(speech, seed) for seed in range(120)]
    changed = [one for one in mixed if not torch.equal(one, speech)]
    assert 25 < len(changed) < 55
    for one in changed:
        assert one.abs().max() <= 1 and torch.corrcoef(torch.stack((one, speech)))[0, 1] > 0.7
        scale = (one @ speech) / (speech @ speech)
        ratio = 10 * torch.log10((scale * speech).square().mean() / (one - scale * speech).square().mean())
        assert 2.5 < ratio < 26
