"""Where somebody speaks, row by row, and what is made of it."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

from lipforcing.audio.logmel import LogMelEncoder
from lipforcing.audio.manner import AHEAD, BEHIND, Activity, Manner, level, rest_row, speaking
from lipforcing.audio.voice_activity import SILENCE, SPEECH, VoiceActivity, per_frame
from lipforcing.errors import InputError
from lipforcing.media import AudioSource
from lipforcing.timeline import SAMPLES_PER_FRAME
from lipforcing.tiny.family import SAMPLES


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    """A second of silence, speech, two seconds of silence."""
    said = AudioSource(SAMPLES / "market.wav").mono16k()
    return torch.cat((torch.zeros(16_000), said, torch.zeros(32_000)))


@pytest.mark.parametrize("pauses, strength", [("never", 1.0), ("rest", -0.1), ("rest", 1.6), ("rest", float("nan"))])
def test_choices_are_checked(pauses, strength):
    with pytest.raises(InputError):
        Manner(pauses, strength)


def test_what_is_needed_follows_from_the_choices():
    assert [(m.listens, m.rests) for m in (Manner(), Manner("rest"), Manner("source"), Manner("model", 0.5))] == [
        (False, False),
        (True, True),
        (True, False),
        (False, True),
    ]


def test_speech_and_silence_are_told_apart(waveform):
    rows = -(-len(waveform) // SAMPLES_PER_FRAME)
    active = speaking(waveform, rows)
    assert len(active) == rows and not any(active[:22]) and not any(active[-45:])
    assert sum(active[25:-50]) > 0.7 * (rows - 75)


def test_answers_are_those_of_the_detector_with_hysteresis(waveform):
    detector = VoiceActivity()
    probabilities = per_frame(torch.cat((detector.push(waveform), detector.finish())), len(waveform) // 640)
    expected, on = [], False
    for probability in probabilities.tolist():
        on = probability >= (SILENCE if on else SPEECH)
        expected.append(on)
    assert speaking(waveform, len(expected)) == expected


def test_sizes_of_pushes_do_not_matter_and_copies_go_on(waveform):
    rows = len(waveform) // 640 + 3
    whole = speaking(waveform, rows)
    activity, answers, start = Activity(), [], 0
    for size in (1, 700, 12_345, 640, 20_000, len(waveform)):
        answers += activity.push(waveform[start : start + size])
        start += size
        if size == 12_345:
            saved, known = copy.copy(activity), list(answers)
    assert (answers + activity.finish(rows))[:rows] == whole
    again = known + saved.push(waveform[13_046:])
    assert (again + saved.finish(rows))[:rows] == whole


def test_rows_beyond_the_sound_are_silent(waveform):
    assert speaking(waveform[:32_000], 60)[52:] == [False] * 8
    assert speaking(torch.zeros(0), 3) == [False] * 3


def test_the_level_rises_before_speech_and_falls_after_it():
    active = [False] * 20 + [True] * 5 + [False] * 20
    levels = [level(active, row) for row in range(45)]
    assert levels[20:25] == [1.0] * 5 and levels[19] == pytest.approx(1.0)
    assert all(0 < a <= b for a, b in pairwise(levels[16:21]))
    assert all(a >= b > 0 for a, b in pairwise(levels[24:33]))
    assert levels[: 20 - AHEAD] == [0.0] * (20 - AHEAD) and levels[25 + BEHIND :] == [0.0] * (20 - BEHIND)
    assert level(active[:25], 40) == 0.0


def test_short_gaps_are_no_pauses():
    active = [True] * 10 + [False] * 4 + [True] * 10
    assert min(level(active, row) for row in range(24)) > 0.9


def test_the_rest_is_what_silence_gives():
    encoder = LogMelEncoder()
    row = rest_row(encoder)
    assert row.shape == (encoder.feature_dim,)
    stream = encoder.stream()
    assert torch.equal(stream.push(torch.zeros(16_000))[10], row)
