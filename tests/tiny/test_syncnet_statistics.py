"""The tiny SyncNets on people and speech it has never met: offsets found, right speech told from wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.tiny_syncnet import PEOPLE, draw, make_clips, trials
from lipforcing.distill.recipes import RECIPES
from lipforcing.distill.recipes.data import PER_SEED, SPOKEN
from lipforcing.drawn.speech import available
from lipforcing.tiny import family
from tools.make_samples import UNSEEN_SEED

SPEECH = Path(__file__).parents[1] / "data" / "unseen_speech.safetensors"


@pytest.mark.parametrize("part", ["syncnet", "syncnet_logmel"])
def test_statistics_on_a_few_clips(part):
    """Without espeak-ng: five of the bundled utterances, 73 frames each."""
    data = load_file(SPEECH)
    waveforms, mouths = data["waveform"][:5].float() / 32767, data["mouth"][:5]
    clips = [(draw(PEOPLE + 500 + i, mouth), waveform) for i, (mouth, waveform) in enumerate(zip(mouths, waveforms))]
    assert len(clips[0][0]) == 73
    result = trials(family.load(part), clips)
    assert result.total == 105 and result.found >= 100
    assert result.area >= 0.99 and len(result.mismatched) == 15


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason="espeak-ng is not installed")
def test_statistics():
    result = trials(family.load("syncnet"), list(make_clips(60, 81)))
    assert result.found >= 0.95 * result.total == 0.95 * 60 * 21
    assert result.area >= 0.99


def test_nobody_here_was_trained_on():
    """Recipes number people and speech from their seed times 1 000 003."""
    seeds = [
        SPOKEN.seed,
        RECIPES["syncnet_logmel"][0].spoken.seed,
        *(RECIPES[name][0].seed for name in ("codec", "meter")),
    ]
    assert PER_SEED * max(seeds) + 1000 < 50_000_000 < min(PEOPLE, UNSEEN_SEED)


def test_a_deaf_network_finds_nothing():
    """The measurement itself: with random weights offsets are found by chance and matching is a coin's toss."""
    torch.manual_seed(0)
    data = load_file(SPEECH)
    clips = [(draw(PEOPLE + i, data["mouth"][i]), data["waveform"][i].float() / 32767) for i in range(2)]
    deaf = family.PARTS["syncnet"]().eval()
    result = trials(deaf, clips)
    assert result.found <= 10 and 0 < len(result.errors) == result.total - result.found
