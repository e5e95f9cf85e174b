from itertools import pairwise

import pytest
import torch

from lipforcing.drawn import speech
from lipforcing.drawn.speech import (
    VOICES,
    available,
    passage,
    random_sentence,
    speak,
    utterance,
    varied_passage,
    varied_utterance,
    viseme_track,
)
from lipforcing.drawn.visemes import STOPS, is_pause
from lipforcing.errors import InputError

VOWELS = frozenset("AaVEeIi@3OoUu0Q")  # first letters
spoken = pytest.mark.skipif(not available(), reason="espeak-ng is not installed")


def loudness(waveform):
    """RMS per video frame."""
    return waveform[: len(waveform) // 640 * 640].view(-1, 640).square().mean(1).sqrt()


@spoken
def test_bilabials_close_in_speech():
    said = speak("mama papa baby")
    track = viseme_track(list(said.phonemes), int(len(said.waveform) / 640) + 1, waveform=said.waveform)
    closures = [(start, end) for name, start, end in said.phonemes if name in ("m", "p", "b")]
    assert len(closures) == 6
    for start, end in closures:
        assert track[max(int(start * 25 - 0.5), 0) : int(end * 25 - 0.5) + 2, 0].min() < 0.1
    assert track[:, 0].max() > 0.6


@spoken
def test_phoneme_times_match_the_waveform():
    quiet, loud = [], []
    for seed in range(4):
        said = speak(random_sentence(seed), VOICES[seed])
        assert all(a[2] == pytest.approx(b[1]) for a, b in zip(said.phonemes, said.phonemes[1:]))
        assert said.phonemes[-1][2] == pytest.approx(len(said.waveform) / 16000, abs=0.01)
        for name, start, end in said.phonemes:
            part = said.waveform[int(start * 16000) : int(end * 16000)].square().mean().sqrt().item()
            if name.startswith("_") or name in STOPS:
                quiet.append(part)
            elif name[0] in VOWELS:
                loud.append(part)
    assert sum(quiet) / len(quiet) < 0.4 * sum(loud) / len(loud)


@spoken
@pytest.mark.parametrize("voice", VOICES[::9])
def test_voiceless_stops_contain_their_closure(voice):
    said = speak("happy paper attic packet topic", voice)
    stops, vowels = [], []
    for name, start, end in said.phonemes:
        part = said.waveform[int(start * 16000) : int(end * 16000)]
        levels = part[: len(part) // 80 * 80].view(-1, 80).square().mean(1).sqrt()
        if name in ("p", "t", "k") and start > 0:
            stops.append(levels.min())
        elif name[0] in VOWELS:
            vowels.append(levels.max())
    assert len(stops) >= 7
    assert torch.stack(stops).mean() < 0.04 * torch.stack(vowels).mean()


@spoken
def test_utterance_is_exact_and_repeats():
    waveform, mouth = utterance(5, 3.24)
    assert waveform.shape == (51840,) and mouth.shape == (81, 5)
    assert waveform.dtype == mouth.dtype == torch.float32
    assert mouth.min() >= 0 and mouth.max() <= 1 and 0.3 < waveform.abs().max() < 0.95
    again = utterance(5, 3.24)
    assert torch.equal(waveform, again[0]) and torch.equal(mouth, again[1])
    assert not torch.equal(waveform, utterance(6, 3.24)[0])


@spoken
def test_a_passage_names_what_its_utterance_says():
    said, (waveform, mouth) = passage(5, 3.24), utterance(5, 3.24)
    assert torch.equal(said.waveform, waveform) and said.phonemes[-1][2] > 2
    starts, ends = ([phoneme[side] for phoneme in said.phonemes] for side in (1, 2))
    assert starts == sorted(starts) and all(end <= start + 1e-6 for end, start in zip(ends, starts[1:]))
    closures = [(start, end) for name, start, end in said.phonemes if name in ("m", "p", "b") and end < 3.2]
    assert len(closures) >= 2
    for start, end in closures:
        assert mouth[int(start * 25) : int(end * 25) + 1, 0].min() < 0.1


@spoken
def test_mouth_opens_with_the_voice():
    scores = []
    for seed in range(6):
        waveform, mouth = utterance(seed, 4.0)
        levels = loudness(waveform)
        lags = [
            torch.corrcoef(torch.stack((levels[4:-4], mouth[4 + k : len(mouth) - 4 + k, 0])))[0, 1]
            for k in range(-4, 5)
        ]
        scores.append(torch.stack(lags))
    mean = torch.stack(scores).mean(0)
    assert mean[4] > 0.55 and mean.argmax() in (3, 4, 5)
    assert mean[0] < 0.3 and mean[8] < 0.3


@spoken
def test_every_voice_speaks():
    assert len(VOICES) >= 12
    assert all(speak("hello", voice).waveform.abs().max() > 0.05 for voice in VOICES)


@spoken
def test_unknown_voice_is_named():
    with pytest.raises(InputError, match="klingon-x"):
        speak("hello", "klingon-x")


def test_missing_library_names_the_package(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(speech.ctypes, "CDLL", missing)
    with pytest.raises(InputError, match="espeak-ng"):
        speak("hello")
    assert not available()


@spoken
def test_varied_speech_has_pauses_of_every_length_and_a_mouth_of_its_own():
    pauses, languages_heard = [], 0
    for seed in range(20):
        said = varied_passage(seed, 6.0)
        assert said.waveform.shape == (96000,) and 0.2 < said.waveform.abs().max() < 1
        sounds = [(start, end) for name, start, end in said.phonemes if not is_pause(name)] + [(6.0, 6.0)]
        pauses += [start - end for (_, end), (start, _) in pairwise(sounds) if start - end > 0.1]
        languages_heard += any(name in ("rr", "y", "Y", "ts", "k") for name, _, _ in said.phonemes)
    assert min(pauses) < 0.2 and max(pauses) > 1.8 and len([p for p in pauses if 0.5 < p < 1.5]) > 3
    assert languages_heard > 5


@spoken
def test_the_mouth_follows_the_speech_alone():
    """Whatever is heard beside it."""
    changed = 0
    for seed in range(8):
        said, (waveform, mouth) = varied_passage(seed, 3.0), varied_utterance(seed, 3.0)
        assert torch.equal(mouth, viseme_track(said.phonemes, 75, waveform=said.waveform))
        changed += not torch.equal(waveform, said.waveform)
    assert 0 < changed < 8
