"""Log-mel rows: scale, locality, streaming."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lipforcing.audio.base import LONG, encode_audio
from lipforcing.audio.logmel import FLOOR, MEAN, SCALE, LogMelEncoder
from lipforcing.audio.mel import mel_points, triangles
from lipforcing.timeline import SAMPLES_PER_FRAME

from .streams import check_look_ahead, check_snapshot, in_pieces, memory_of_an_hour

ENCODER = LogMelEncoder()


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "samples, frames, rows", [(0, 0, 0), (0, 5, 5), (3000, 0, 5), (3200, 0, 5), (3201, 0, 6), (3000, 9, 9)]
)
def test_silence_is_a_finite_constant(samples, frames, rows):
    found = encode_audio(ENCODER, torch.zeros(samples), frames)
    assert found.shape == (rows, ENCODER.feature_dim)
    torch.testing.assert_close(found, torch.full_like(found, (math.log(FLOOR) - MEAN) / SCALE))


def test_a_row_depends_on_its_stated_samples_and_on_no_others():
    waveform, frame = noise(12 * SAMPLES_PER_FRAME), 5
    low = frame * SAMPLES_PER_FRAME - ENCODER.samples_before
    high = frame * SAMPLES_PER_FRAME + ENCODER.look_ahead
    assert (low, high) == (640 * frame - 760, 640 * frame + 1400)
    reference = encode_audio(ENCODER, waveform)[frame]
    outside = torch.ones_like(waveform)
    outside[low:high] = 0
    assert torch.equal(encode_audio(ENCODER, waveform + outside)[frame], reference)
    # The Hann window is zero at its first sample, so the range is entered one sample in.
    for sample in (low + 2, high - 2):
        changed = waveform.clone()
        changed[sample] += 100
        assert not torch.equal(encode_audio(ENCODER, changed)[frame], reference)


def test_frames_stack_previous_own_and_next_hops():
    rows = encode_audio(ENCODER, noise(8 * SAMPLES_PER_FRAME)).reshape(8, 3, 4 * 32)
    assert torch.equal(rows[1:, 0], rows[:-1, 1]) and torch.equal(rows[1:, 1], rows[:-1, 2])


def test_hops_are_the_frames_of_a_centred_short_time_spectrum():
    """Every hop of the recording against torch.stft over the whole of it."""
    waveform = noise(6 * SAMPLES_PER_FRAME)
    # stft centres the window of 400 in its 512 samples, so that the samples begin 56 later; moduli do not change.
    padded = torch.nn.functional.pad(waveform, (120 + 56, 400))
    spectrum = torch.stft(padded, 512, 160, 400, torch.hann_window(400), center=False, return_complex=True)
    bins = torch.arange(257, dtype=torch.float64) * 16_000 / 512
    filters = triangles(mel_points(50, 7600, 32), bins).float()
    energy = filters / filters.sum(1, keepdim=True) @ (spectrum.abs().square() / 512)
    expected = ((energy.T + FLOOR).log() - MEAN) / SCALE
    own = encode_audio(ENCODER, waveform).reshape(6, 3, 4, 32)[:, 1].flatten(0, 1)
    torch.testing.assert_close(own, expected[:24], rtol=0, atol=1e-4)


def test_a_click_is_loudest_in_its_own_frame():
    waveform = torch.zeros(9 * SAMPLES_PER_FRAME)
    waveform[4 * SAMPLES_PER_FRAME + 320] = 1
    own = encode_audio(ENCODER, waveform).reshape(9, 3, -1)[:, 1].mean(1)
    assert own.argmax() == 4


def test_gain_shifts_every_band_alike_above_the_floor():
    waveform = noise(6 * SAMPLES_PER_FRAME)
    shift = (encode_audio(ENCODER, 2 * waveform) - encode_audio(ENCODER, waveform))[1:-1]
    torch.testing.assert_close(shift, torch.full_like(shift, math.log(4) / SCALE), rtol=0, atol=0.02)


@given(
    samples=st.integers(0, 9000),
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=5),
    frames=st.integers(0, 20),
)
@settings(max_examples=60, deadline=None)
def test_rows_do_not_depend_on_the_pushes(samples, sizes, frames):
    waveform = noise(samples)
    rows = in_pieces(ENCODER.stream(), waveform, [*sizes, 1000], frames)
    assert len(rows) == max(-(-samples // 640), frames)
    assert torch.equal(rows, encode_audio(ENCODER, waveform, frames))


def test_the_length_of_the_recording_does_not_matter():
    waveform = noise(400 * SAMPLES_PER_FRAME)
    assert torch.equal(encode_audio(ENCODER, waveform)[:20], encode_audio(ENCODER, waveform[: 22 * 640])[:20])


def test_look_ahead_is_what_is_stated():
    for row in (0, 1, 7):
        check_look_ahead(ENCODER, noise(20 * SAMPLES_PER_FRAME), row)


def test_a_copy_is_a_snapshot():
    check_snapshot(ENCODER, noise(20 * SAMPLES_PER_FRAME), 5000)


def test_it_is_windowed_already():
    assert ENCODER.windowed(LONG) is ENCODER and ENCODER.max_seconds == math.inf


def test_an_hour_takes_no_more_memory_than_five_minutes():
    rows, grown = memory_of_an_hour("from lipforcing.audio.logmel import LogMelEncoder\nencoder = LogMelEncoder()")
    assert rows == 90_000 and grown < 5
