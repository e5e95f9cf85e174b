"""Training data: drawn faces whose mouths are known."""

from __future__ import annotations

import pytest
import torch

from benchmarks.tiny_student import CLIPS, FRAMES, PEOPLE, SPEECH
from lipforcing.distill.recipes import RECIPES, data
from lipforcing.distill.recipes.data import Spoken, pixels, random_clips, random_faces, random_mouth, speech_clips
from lipforcing.drawn import languages, speech
from lipforcing.drawn.sentences import random_sentence
from lipforcing.timeline import FPS

SIZE = (32, 24)


def test_pixels_are_what_codecs_take():
    frames = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 4, 6, 3)
    found = pixels(frames)
    assert (
        found.shape == (3, 2, 4, 6) and found[:, 0].unique().tolist() == [-1] and found[:, 1].unique().tolist() == [1]
    )


def test_random_mouths_move_and_close():
    track = random_mouth(torch.Generator().manual_seed(1), 400)
    assert track.shape == (400, 5) and track.min() >= 0 and track.max() <= 1
    assert (track[:, 0] == 0).float().mean() > 0.05 and track[:, 0].max() > 0.8
    assert (track[3::3] - track[:-3:3]).abs().mean() > 0.2  # new keys every three frames


def test_a_seed_is_a_set_of_clips(monkeypatch):
    monkeypatch.setattr(data, "SIZE", SIZE)
    first, again = (list(random_clips(4, 2, 3)) for _ in range(2))
    assert all(torch.equal(a, b) for clip, other in zip(first, again) for a, b in zip(clip, other))
    (one, mouth), (two, _) = first
    assert one.shape == (3, *SIZE, 3) and mouth.shape == (3, 5) and not torch.equal(one, two)


def test_random_faces_are_made_once(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "SIZE", SIZE)
    pictures, mouths = random_faces(4, 2, 3, tmp_path)
    clips = list(random_clips(4, 2, 3))
    assert torch.equal(pictures, torch.stack([clip[0] for clip in clips])) and torch.equal(mouths[1], clips[1][1])
    monkeypatch.setattr(data, "random_clips", None)
    assert torch.equal(random_faces(4, 2, 3, tmp_path)[0], pictures)


@pytest.mark.skipif(not speech.available(), reason="espeak-ng is not installed")
def test_training_never_meets_the_evaluation(monkeypatch):
    """No person, no seed of a sentence and no voice of the 52 clips, nor of the utterance before the first."""
    said = []
    real = speech._Speaker.say

    def listen(speaker, text, voice, *rest):
        said[-1][1].add(voice)
        return real(speaker, text, voice, *rest)

    def note(seed):
        said[-1][0].add(seed)
        return random_sentence(seed)

    monkeypatch.setattr(speech._Speaker, "say", listen)
    monkeypatch.setattr(speech, "random_sentence", note)
    monkeypatch.setattr(languages, "random_sentence", note)
    said.append((set(), set()))
    for number in range(-1, CLIPS):
        speech.passage(SPEECH + number, FRAMES / FPS)
    spoken = [recipe.spoken for recipe, _ in RECIPES.values() if getattr(recipe, "spoken", Spoken()).varied]
    numbers = {one.seed * data.PER_SEED + i for one in spoken for i in range(one.count)}
    said.append((set(), set()))
    for number in sorted(numbers)[:40]:
        speech.varied_passage(number, 4.2)
    (sentences, voices), (theirs, other_voices) = said
    assert len(sentences) > CLIPS < len(numbers) and len(theirs) > 15  # of these English ones alone
    assert max(sentences) < speech.SENTENCES <= min(theirs)
    assert len(voices) > 20 and not voices & {voice for one in languages.LANGUAGES for voice in one.voices}
    assert other_voices <= {voice for one in languages.LANGUAGES for voice in one.voices}
    seeds = [recipe.seed for recipe, _ in RECIPES.values()] + [one.seed for one in (data.SPOKEN, *spoken)]
    people = {seed * data.PER_SEED for seed in seeds}
    assert all(abs(PEOPLE - first) > data.PER_SEED for first in people)


def test_spoken_clips_show_a_person_twice_and_are_made_once(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "SIZE", SIZE)
    asked = []

    def utterance(seed, seconds):
        asked.append(seed)
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(round(seconds * 16_000), generator=generator), torch.rand(4, 5, generator=generator)

    monkeypatch.setattr(data, "utterance", utterance)
    clips = speech_clips(Spoken(1, 2, 4), tmp_path)
    assert clips.source.shape == clips.target.shape == (2, 4, *SIZE, 3) and clips.waveform.shape == (2, 4 * 640)
    changed = (clips.source.int() - clips.target.int()).abs().amax((0, 1, 3, 4))
    assert changed.any() and not changed[: SIZE[0] // 4].any()  # the mouth's rows; hair and brows are the same
    again = speech_clips(Spoken(1, 2, 4), tmp_path)
    assert len(asked) == 2 and torch.equal(again.source, clips.source) and torch.equal(again.mouth, clips.mouth)


def test_processes_draw_what_one_draws(monkeypatch):
    clips = [(who, [random_mouth(torch.Generator().manual_seed(who), 2).numpy()]) for who in (3, 4)]
    alone = list(data.in_parallel(data.drawn_clip, clips, "alone"))
    monkeypatch.setattr(data, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(data.os, "cpu_count", lambda: 2)
    together = list(data.in_parallel(data.drawn_clip, clips, "together"))
    assert len(together) == 2 and all((one == other).all() for one, other in zip(alone, together))
    assert (alone[0] != alone[1]).any()
