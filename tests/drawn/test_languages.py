"""Every sound of every language has a place on the lips."""

import struct
from pathlib import Path

import pytest

from lipforcing.drawn.languages import ENGLISH, LANGUAGES
from lipforcing.drawn.speech import VOICES, available, speak
from lipforcing.drawn.visemes import is_pause, known, shapes_of, viseme_track

SOUNDS = range(2, 9)  # espeak-ng's types: vowel, liquid, stop, voiced stop, fricative, voiced fricative, nasal
TABLES = {"zh": "cmn"}  # where the table's name is not the language's
spoken = pytest.mark.skipif(not available(), reason="espeak-ng is not installed")
OTHERS = LANGUAGES[1:]


def phoneme_tables():
    """Sounds of every phoneme table of espeak-ng (its ``phontab``), those of the tables it builds on included."""
    found = sorted(Path("/usr").glob("lib/*/espeak-ng-data/phontab")) or sorted(
        Path("/usr/share").glob("espeak-ng-data/phontab")
    )
    if not found:
        pytest.skip("espeak-ng's phoneme tables were not found")
    data = found[0].read_bytes()
    tables, at = [], 4
    for _ in range(data[0]):
        count, base = data[at], data[at + 1]
        name, at = data[at + 4 : at + 36].split(b"\0")[0].decode(), at + 36
        own = dict(tables[base - 1][1]) if base else {}
        for _ in range(count):
            symbol, _, _, code, kind = struct.unpack_from("<4sIHBB", data, at)
            own[code], at = (symbol.rstrip(b"\0").decode("latin1"), kind), at + 16
        tables.append((name, own))
    return {name: [symbol for symbol, kind in own.values() if kind in SOUNDS] for name, own in tables}


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.name)
def test_every_phoneme_has_a_shape(language):
    sounds = phoneme_tables()[TABLES.get(language.name, language.name)]
    assert len(sounds) > 50 and "p" in sounds
    unknown = [symbol for symbol in sounds if not known(language.as_english(symbol))]
    assert not unknown
    closing = {symbol for symbol in sounds if language.as_english(symbol) in ("p", "b", "m")}
    assert closing == {s for s in sounds if s[0] in "pbm" and s != "p\\"}  # a fricative


def test_a_sound_that_nobody_knows_is_named():
    with pytest.raises(KeyError, match="%"):
        OTHERS[0].as_english("%")
    assert OTHERS[0].as_english("_:") == "_:" and ENGLISH.as_english("%") == "%"


def test_marks_and_own_sounds():
    by_name = {language.name: language for language in LANGUAGES}
    assert by_name["ru"].as_english("m;") == "m" and by_name["zh"].as_english("ph") == "p"
    assert shapes_of(by_name["de"].as_english("y:"))[0][2] > 0.8 > shapes_of(by_name["pl"].as_english("y"))[0][2]
    assert by_name["fr"].as_english("r") == "k" != by_name["es"].as_english("r")
    assert not is_pause(by_name["ja"].as_english("_j"))


@spoken
@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.name)
def test_words_are_spoken_and_lips_close(language):
    text = " ".join(language.words)
    said = speak(text, language.voices[0])
    phonemes = [(language.as_english(name), start, end) for name, start, end in said.phonemes]
    assert all(known(name) or is_pause(name) for name, _, _ in phonemes)
    assert len(language.words) >= 60 and len(said.waveform) > 16000 * 15
    track = viseme_track(phonemes, len(said.waveform) // 640, waveform=said.waveform)
    closures = [(s, e) for name, s, e in phonemes if name in ("p", "b", "m") and e < len(said.waveform) / 16000 - 0.1]
    assert len(closures) > 15
    missed = [s for s, e in closures if track[max(int(s * 25 - 0.5), 0) : int(e * 25 - 0.5) + 2, 0].min() > 0.12]
    assert len(missed) <= 0.05 * len(closures) and track[:, 0].max() > 0.6


def test_voices_are_many_and_none_of_the_old_ones():
    voices = [voice for language in LANGUAGES for voice in language.voices]
    assert len(LANGUAGES) >= 8 and len(voices) == len(set(voices)) >= 200
    assert not set(voices) & set(VOICES)


def test_sentences_repeat_and_differ():
    for language in LANGUAGES:
        some = [language.sentence(seed) for seed in range(20)]
        assert some == [language.sentence(seed) for seed in range(20)] and len(set(some)) > 15
        assert language is ENGLISH or all(3 <= len(text.split()) <= 8 for text in some)
