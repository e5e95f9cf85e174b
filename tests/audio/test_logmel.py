"""Log-mel rows: scale, locality, streaming."""

import math

import torch

from lipforcing.audio.logmel import FLOOR, MEAN, SCALE, LogMelEncoder
from lipforcing.timeline import SAMPLES_PER_FRAME


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def test_silence_is_a_finite_constant():
    encode = LogMelEncoder()
    for silence in (torch.zeros(0), torch.zeros(3000)):
        rows = encode(silence, 5)
        assert rows.shape == (5, encode.feature_dim)
        torch.testing.assert_close(rows, torch.full_like(rows, (math.log(FLOOR) - MEAN) / SCALE))


def test_a_row_depends_on_its_stated_samples_and_on_no_others():
    encode = LogMelEncoder()
    waveform, frame = noise(12 * SAMPLES_PER_FRAME), 5
    low = frame * SAMPLES_PER_FRAME - encode.samples_before
    high = frame * SAMPLES_PER_FRAME + encode.samples_after
    assert (low, high) == (640 * frame - 760, 640 * frame + 1400)
    reference = encode(waveform, 12)[frame]
    outside = torch.ones_like(waveform)
    outside[low:high] = 0
    assert torch.equal(encode(waveform + outside, 12)[frame], reference)
    # The Hann window is zero at its first sample, so the range is entered one sample in.
    for sample in (low + 2, high - 2):
        changed = waveform.clone()
        changed[sample] += 100
        assert not torch.equal(encode(changed, 12)[frame], reference)


def test_frames_stack_previous_own_and_next_hops():
    rows = LogMelEncoder()(noise(8 * SAMPLES_PER_FRAME), 8).reshape(8, 3, 4 * 32)
    torch.testing.assert_close(rows[1:, 0], rows[:-1, 1])
    torch.testing.assert_close(rows[1:, 1], rows[:-1, 2])


def test_a_click_is_loudest_in_its_own_frame():
    waveform = torch.zeros(9 * SAMPLES_PER_FRAME)
    waveform[4 * SAMPLES_PER_FRAME + 320] = 1
    own = LogMelEncoder()(waveform, 9).reshape(9, 3, -1)[:, 1].mean(1)
    assert own.argmax() == 4


def test_blocks_give_the_rows_of_one_pass(monkeypatch):
    waveform = noise(20 * SAMPLES_PER_FRAME - 100)
    whole = LogMelEncoder()(waveform, 23)
    monkeypatch.setattr("lipforcing.audio.logmel.BLOCK", 4)
    torch.testing.assert_close(LogMelEncoder()(waveform, 23), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(LogMelEncoder()(waveform, 7), whole[:7], rtol=0, atol=1e-5)


def test_gain_shifts_every_band_alike_above_the_floor():
    encode, waveform = LogMelEncoder(), noise(6 * SAMPLES_PER_FRAME)
    shift = (encode(2 * waveform, 6) - encode(waveform, 6))[1:-1]
    torch.testing.assert_close(shift, torch.full_like(shift, math.log(4) / SCALE), rtol=0, atol=0.02)
