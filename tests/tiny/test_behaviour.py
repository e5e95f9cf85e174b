"""What the tiny student does with speech and people it has never met."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.faces.mask import pixel_mask
from lipforcing.pipeline import sync_crops
from lipforcing.stream.family import Family
from lipforcing.tiny import family
from lipforcing.tiny.meter import correlation

SPEECH = Path(__file__).parents[1] / "data" / "unseen_speech.safetensors"
SIZE = (family.CROP_SIZE, family.CROP_SIZE)
UNSEEN_PEOPLE = 55_000_000


def lip_sync(tiny: Family, crops: torch.Tensor, waveform: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Generated crops [T, 3, S, S] of source crops [T, 3, S, S]."""
    return sync_crops(tiny, crops, waveform, seed)[0]


@pytest.fixture(scope="module")
def tiny() -> Family:
    return family.tiny_family()


@pytest.fixture(scope="module")
def dubbed(tiny):
    """Unseen people, each with the mouth of one unseen utterance, dubbed with the next one."""
    data = load_file(SPEECH)
    waveforms, mouths = data["waveform"].float() / 32767, data["mouth"]
    frames = mouths.shape[1]
    meter = family.load("meter")
    clips = []
    for i in range(len(mouths)):
        j = (i + 1) % len(mouths)
        who = UNSEEN_PEOPLE + i
        pictures = render(Identity.sample(who), mouths[i], sample_head(who, frames), SIZE)
        crops = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
        result = lip_sync(tiny, crops, waveforms[j])
        with torch.inference_mode():
            opening = meter(result)[:, 0]
        clips.append({"crops": crops, "result": result, "opening": opening, "source": mouths[i], "wanted": mouths[j]})
    return clips


def mean_correlation(pairs) -> float:
    values = [correlation(a, b) for a, b in pairs]
    return sum(values) / len(values)


def test_mouth_follows_unseen_speech(dubbed):
    assert mean_correlation((clip["opening"], clip["wanted"][:, 0]) for clip in dubbed) >= 0.8


def test_mouth_does_not_follow_other_speech(dubbed):
    others = dubbed[3:] + dubbed[:3]
    assert mean_correlation((clip["opening"], other["wanted"][:, 0]) for clip, other in zip(dubbed, others)) < 0.3


def test_source_mouth_does_not_shine_through(dubbed):
    """Apart from what both utterances share by chance, the result's mouth knows nothing of the source's."""
    for clip in dubbed:
        by_chance = correlation(clip["wanted"][:, 0], clip["source"][:, 0])
        assert correlation(clip["opening"], clip["source"][:, 0]) < by_chance + 0.25
    assert mean_correlation((clip["opening"], clip["source"][:, 0]) for clip in dubbed) < 0.3


def test_closed_lips_close_and_open_mouths_open(dubbed):
    """Not only the rhythm: the mouth really opens and closes as far as it should."""
    opening = torch.cat([clip["opening"] for clip in dubbed])
    wanted = torch.cat([clip["wanted"][:, 0] for clip in dubbed])
    shut, wide = opening[wanted < 0.05].mean(), opening[wanted > 0.5].mean()
    assert shut < 0.15 and wide > 0.35


def test_face_outside_the_mouth_survives(dubbed):
    """Colours and features of the upper face stay those of the person."""
    keep = ~pixel_mask(*SIZE)
    for clip in dubbed:
        difference = (clip["result"] - clip["crops"])[:, :, keep].abs().mean()
        assert difference < 0.06  # 8 of 255 levels, through the codec


def test_same_seed_same_frames_whatever_follows(tiny, dubbed):
    crops = dubbed[0]["crops"]
    waveform = load_file(SPEECH)["waveform"][1].float() / 32767
    short = lip_sync(tiny, crops[:33], waveform)
    assert torch.equal(short[:21], dubbed[0]["result"][:21])  # in the last chunk the sound ends sooner
    assert not torch.allclose(short, lip_sync(tiny, crops[:33], waveform, seed=2), atol=1e-3)
