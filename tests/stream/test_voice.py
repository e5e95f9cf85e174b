"""Packed speech: the right rows at the right time, the same however it came, and back again."""

from __future__ import annotations

import functools
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from lipforcing.audio.logmel import LogMelEncoder
from lipforcing.audio.manner import AHEAD, Manner
from lipforcing.media import AudioSource
from lipforcing.models import WanTransformer
from lipforcing.models.config import tiny
from lipforcing.sampling.causal import NetworkStudent
from lipforcing.stream.voice import Voice
from lipforcing.tiny.family import SAMPLES

from .helpers import Loudness, small_family, speech


@pytest.fixture(scope="module")
def family():
    return small_family()


@torch.no_grad()
def voice_of(family, samples, pieces=(), frames=0, encoder=None, keep=0) -> Voice:
    voice = Voice(encoder or Loudness(), family.student, family.text, keep=keep)
    for piece in samples.split(list(pieces)) if pieces else [samples]:
        voice.push(piece)
    voice.finish(frames)
    return voice


def times(first: int, count: int, rate: float = 25) -> list[float]:
    return [n / rate for n in range(first, first + count)]


@torch.no_grad()
def test_vectors_are_those_of_the_network(family):
    """Of a run that begins at frame 5: its first latent frame hears row 5 four times, the next one rows 6 to 9."""
    samples = speech(1.0)
    rows = Loudness().stream().push(samples)
    voice = voice_of(family, samples)
    expected = family.student.embed_audio(rows[None, 5:14])
    found = [voice.alone(5 / 25), voice.window(times(6, 4)), voice.window(times(10, 4))]
    torch.testing.assert_close(torch.stack(found, dim=1), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_last_row_goes_on(family):
    voice = voice_of(family, speech(0.4))
    rows = Loudness().stream().push(speech(0.4))
    late = family.student.embed_audio(rows[None, -1:].expand(-1, 4, -1))
    torch.testing.assert_close(voice.window(times(40, 4)), late[:, 0], atol=1e-5, rtol=0)
    assert voice.heard([99.0])


@torch.no_grad()
def test_equal_sound_gives_equal_vectors_however_it_comes(family):
    samples = speech(1.03)
    whole = voice_of(family, samples)
    for pieces in ([1, 639, 641, 5000, len(samples) - 6281], [7000, len(samples) - 7000]):
        for keep in (0, 12):
            other = voice_of(family, samples, pieces, keep=keep)
            for n in range(28):
                assert torch.equal(other.window(times(n, 4)), whole.window(times(n, 4)))
                assert torch.equal(other.alone(n / 25), whole.alone(n / 25))


@torch.no_grad()
def test_times_off_the_clock_lie_between_rows(family):
    voice = voice_of(family, speech(1.0))
    between = voice.alone(5.25 / 25)
    torch.testing.assert_close(between, 0.75 * voice.alone(5 / 25) + 0.25 * voice.alone(6 / 25))
    # a latent frame of 30 fps footage hears the rows around the middle of its four frames
    found = voice.window(times(12, 4, rate=30))
    middle = (13.5 / 30) * 25 - 1.5  # the first of the four rows
    low, high = (voice.window(times(int(middle) + n, 4)) for n in (0, 1))
    torch.testing.assert_close(found, torch.lerp(low, high, middle % 1))
    # clocks of milliseconds are the clock itself
    rounded = [round(t, 3) for t in times(7, 4)]
    assert torch.equal(voice.window([t + 0.0004 for t in rounded]), voice.window(times(7, 4)))


@torch.no_grad()
def test_sound_is_heard_once_its_rows_are_there(family):
    voice = Voice(Loudness(), family.student, family.text)
    assert not voice.heard([0.0])
    voice.push(speech(0.36))
    assert voice.heard(times(0, 9)) and not voice.heard(times(0, 10))
    voice.push(speech(0.04))
    assert voice.heard(times(0, 10))


@torch.no_grad()
def test_sound_that_starts_later(family):
    voice = Voice(Loudness(), family.student, family.text, start=2.0)
    voice.push(speech(1.0))
    plain = voice_of(family, speech(1.0))
    assert torch.equal(voice.window([2 + t for t in times(4, 4)]), plain.window(times(4, 4)))
    assert torch.equal(voice.alone(1.0), plain.alone(0.0))  # before it: its first row


@torch.no_grad()
@pytest.mark.parametrize("encoder", [Loudness(), LogMelEncoder()], ids=["rows", "log-mel"])
def test_rewound_sound_was_never_heard(encoder):
    """What is pushed after a rewind gives the vectors of a voice that never heard what was dropped."""
    config = tiny() if isinstance(encoder, LogMelEncoder) else None
    family = small_family()
    if config is not None:
        torch.manual_seed(1)
        student = NetworkStudent(WanTransformer(config))
        family = type(family)(student, family.codec, family.decoder, encoder, torch.zeros(1, 1, 8), 32)
    heard, dropped, new = speech(0.8, 1), speech(0.5, 2), speech(0.6, 3)
    voice = Voice(encoder, family.student, family.text, keep=48)
    voice.push(heard)
    voice.push(dropped)
    kept = voice.rewind(0.6)
    assert kept == 0.6
    voice.push(new)
    voice.finish()
    plain = Voice(encoder, family.student, family.text)
    plain.push(torch.cat((heard[: int(0.6 * 16_000)], new)))
    plain.finish()
    for n in range(28):
        assert torch.equal(voice.window(times(n, 4)), plain.window(times(n, 4)))


@torch.no_grad()
def test_rewinding_further_than_states_are_kept_says_so(family):
    voice = Voice(Loudness(), family.student, family.text, keep=5)
    voice.push(speech(1.0))
    assert voice.rewind(3.0) == 1.0
    assert voice.heard([0.6])
    with pytest.raises(ValueError, match="not kept"):
        voice.rewind(0.2)


def spoken() -> torch.Tensor:
    """Two seconds of silence, a bundled speech, two seconds of silence."""
    said = AudioSource(SAMPLES / "market.wav").mono16k()[:48_000]
    return torch.cat((torch.zeros(32_000), said, torch.zeros(32_000)))


def shaped(family, manner: Manner, keep: int = 0) -> Voice:
    voice = Voice(LogMelEncoder(), log_mel_student(), torch.zeros(1, 1, 1), keep=keep, manner=manner)
    voice.push(spoken())
    voice.finish()
    return voice


@functools.cache
def log_mel_student() -> NetworkStudent:
    torch.manual_seed(3)
    return NetworkStudent(WanTransformer(replace(tiny(), audio_dim=LogMelEncoder().feature_dim)).eval())


@torch.no_grad()
def test_strength_is_the_way_from_rest_to_speech(family):
    plain, none = shaped(family, Manner()), shaped(family, Manner(strength=0.0))
    at, silent = times(80, 4), times(20, 4)
    rest = none.window(at)
    torch.testing.assert_close(plain.window(silent), rest, atol=1e-4, rtol=0)
    assert torch.equal(none.window(times(100, 4)), rest) and torch.equal(none.alone(3.0), none.alone(1.0))
    for strength in (0.5, 1.5):
        expected = rest + strength * (plain.window(at) - rest)
        torch.testing.assert_close(shaped(family, Manner(strength=strength)).window(at), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_mouth_rests_in_pauses_and_only_there(family):
    noise = 0.003 * torch.randn(len(spoken()), generator=torch.Generator().manual_seed(0))
    voices = []
    for manner in (Manner(), Manner("rest"), Manner(strength=0.0)):
        voice = Voice(LogMelEncoder(), log_mel_student(), torch.zeros(1, 1, 1), manner=manner)
        voice.push(spoken() + noise)
        voice.finish()
        voices.append(voice)
    plain, rests, rest = voices
    for first in (10, 150):  # in the silence before and after
        assert torch.equal(rests.window(times(first, 4)), rest.window(times(first, 4)))
        assert (plain.window(times(first, 4)) - rest.window(times(first, 4))).norm() > 0.1
    assert torch.equal(rests.window(times(80, 4)), plain.window(times(80, 4)))
    assert rests.opacity(0.4) == 1.0


@torch.no_grad()
def test_the_sources_own_mouth_is_shown_in_pauses(family):
    voice = shaped(family, Manner("source"))
    assert torch.equal(voice.window(times(10, 4)), shaped(family, Manner()).window(times(10, 4)))
    levels = [voice.opacity(row / 25) for row in range(175)]
    assert levels[:40] == [0.0] * 40 and levels[160:] == [0.0] * 15 and max(levels) == 1.0
    assert max(abs(a - b) for a, b in pairwise(levels)) < 0.3  # softly
    assert voice.opacity(99.0) == 0.0


@torch.no_grad()
@pytest.mark.parametrize("pauses", ["rest", "source"])
def test_manners_hear_a_little_ahead_and_can_be_rewound(pauses):
    samples = spoken()
    voice = Voice(LogMelEncoder(), log_mel_student(), torch.zeros(1, 1, 1), keep=60, manner=Manner(pauses))
    voice.push(samples[: 640 * 100])
    assert voice.heard([(99 - AHEAD - 2) / 25]) and not voice.heard([(100 - AHEAD) / 25])
    heard = 95 - AHEAD - 2
    before = [voice.opacity(row / 25) for row in range(heard)]
    assert voice.rewind(80 / 25) == pytest.approx(80 / 25)
    voice.push(samples[640 * 80 :])
    voice.finish()
    whole = shaped(None, Manner(pauses))
    assert all(torch.equal(voice.window(times(n, 4)), whole.window(times(n, 4))) for n in range(0, 170, 10))
    assert [voice.opacity(row / 25) for row in range(heard)] == before == [whole.opacity(n / 25) for n in range(heard)]


@torch.no_grad()
@pytest.mark.parametrize("pauses", ["model", "rest"])
def test_a_voice_without_sound_hears_silence(pauses):
    """Also where all of it was taken back: whoever waits for it would wait for ever."""
    manner = Manner(pauses)
    voice = Voice(LogMelEncoder(), log_mel_student(), torch.zeros(1, 1, 1), start=2.0, keep=60, manner=manner)
    voice.push(spoken()[32_000:40_000])
    assert voice.rewind(1.0) == 2.0
    voice.finish()
    empty = Voice(LogMelEncoder(), log_mel_student(), torch.zeros(1, 1, 1), manner=manner)
    empty.finish()
    rest = shaped(None, Manner(strength=0.0))
    for one in (voice, empty):
        assert one.heard([99.0])
        torch.testing.assert_close(one.window(times(60, 4)), rest.window(times(60, 4)), atol=1e-4, rtol=0)
