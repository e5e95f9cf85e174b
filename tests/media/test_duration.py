from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest

from lipforcing.media.duration import DurationPolicy, frames_before


@pytest.mark.parametrize("rate", [10, 24, 25, Fraction(30000, 1001), 30, 50, 60])
def test_every_frame_that_starts_before_the_end_is_there(rate):
    for milliseconds in range(1, 3000, 97):
        seconds = Fraction(milliseconds, 1000)
        brute = sum(1 for n in range(190) if n / Fraction(rate) < seconds)
        assert frames_before(float(seconds), rate) == brute


def test_rounding_errors_do_not_add_a_frame():
    assert frames_before(10 * 0.1 + 1e-12, 30) == 30
    assert frames_before(160_000 / 16_000, 25) == 250
    assert frames_before(160_001 / 16_000, 25) == 251
    assert frames_before(0.0, 25) == 1


def test_output_follows_longer_audio():
    plan = DurationPolicy().plan(10.0, Fraction(25), 4.0, 100)
    assert (plan.frames, plan.seconds, plan.end) == (250, 10.0, 10.0)
    assert (plan.source_frames, plan.fill, plan.repetitions) == (100, "pingpong", 2.5)
    assert (plan.audio_used, plan.audio_cut, plan.silence) == (10.0, 0, 0)
    assert "150 frames shorter" in plan.description and "back and forth" in plan.description


def test_output_follows_shorter_audio():
    plan = DurationPolicy().plan(1.99, Fraction(30), 4.0)
    assert (plan.frames, plan.source_frames, plan.available_frames) == (60, 60, 120)
    assert plan.seconds == 2.0 and plan.silence == 0
    assert "the video's end, 60 frames, is left out" in plan.description


def test_output_follows_the_video():
    policy = DurationPolicy("video")
    longer = policy.plan(10.0, Fraction(25), 4.0, 100)
    assert (longer.frames, longer.end, longer.audio_used, longer.audio_cut, longer.silence) == (100, None, 4, 6, 0)
    assert "6.00 s of the audio are left out" in longer.description
    shorter = policy.plan(3.0, Fraction(25), 4.0, 100)
    assert (shorter.frames, shorter.audio_used, shorter.audio_cut, shorter.silence) == (100, 3, 0, 1)
    assert "1.00 s of silence" in shorter.description


@pytest.mark.parametrize("length", ["audio", "video"])
@pytest.mark.parametrize("audio_seconds", [0.01, 1.0, 3.999, 4.0, 4.001, 60.0])
def test_nothing_is_lost_or_added_silently(length, audio_seconds):
    plan = DurationPolicy(length).plan(audio_seconds, Fraction(30000, 1001), 4.004, 120)
    assert plan.audio_used + plan.audio_cut == pytest.approx(audio_seconds)
    assert plan.frames == (ceil(audio_seconds * 30000 / 1001 - 1e-6) if length == "audio" else 120)
    if length == "video":
        assert plan.audio_used + plan.silence == pytest.approx(plan.seconds)
    else:
        assert 0 <= plan.seconds - audio_seconds < 1001 / 30000
    assert plan.description.endswith(".") and "\n" not in plan.description


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="length"):
        DurationPolicy("longest")
    with pytest.raises(ValueError, match="fill"):
        DurationPolicy(fill="mirror")
