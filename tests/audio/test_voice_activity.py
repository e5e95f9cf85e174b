"""Voice activity: the original's probabilities and segments, in pieces of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lipforcing.audio.voice_activity import CHUNK, SILENCE, VoiceActivity, load_network, per_frame, speech_segments

from .sounds import sounds

RECORDED = Path(__file__).parents[1] / "data" / "silero_vad.safetensors"


@pytest.fixture(scope="module")
def network():
    return load_network()


def listen(network, samples: torch.Tensor, *sizes: int) -> torch.Tensor:
    """Probabilities of samples pushed in pieces of these sizes, the last one again and again."""
    stream, found = VoiceActivity(network), []
    while len(samples):
        size, sizes = sizes[0], sizes[1:] or sizes
        found.append(stream.push(samples[:size]))
        samples = samples[size:]
    return torch.cat([*found, stream.finish()])


@pytest.mark.parametrize("name", ["market", "moon", "noise", "torn"])
def test_the_original_hears_the_same(network, name, parity):
    samples, recorded = dict(sounds())[name], load_file(RECORDED)
    probabilities = listen(network, samples, len(samples))
    parity("silero", "probabilities", probabilities, recorded[f"{name}/probabilities"], 1e-5)
    segments = speech_segments(recorded[f"{name}/probabilities"], len(samples) / 16_000)
    expected = recorded[f"{name}/segments"] / 16_000
    assert len(segments) == len(expected) >= (name != "noise")
    assert torch.allclose(torch.tensor(segments).view(-1, 2), expected, atol=1 / 16_000)


@pytest.mark.parametrize("sizes", [(1, 510, 1, 1), (511, 2, 1), (640,), (4000, 13)])
def test_pieces_of_any_size_give_the_same(network, sizes):
    samples = dict(sounds())["moon"][20_000:24_100]
    assert torch.equal(listen(network, samples, *sizes), listen(network, samples, 4100))


def test_a_stream_says_what_it_knows_and_finishes(network):
    stream = VoiceActivity(network)
    assert len(stream.push(torch.zeros(CHUNK - 1))) == 0
    assert len(stream.push(torch.zeros(1))) == 1
    assert len(stream.finish()) == 0
    assert len(stream.push(torch.zeros(3 * CHUNK + 5))) == 3
    assert len(stream.finish()) == 1


def test_streams_that_share_a_network_do_not_hear_each_other(network):
    market, moon = (samples for _, samples in list(sounds())[:2])
    alone = listen(network, moon[:8000], 8000)
    one, other = VoiceActivity(network), VoiceActivity(network)
    together = [(one.push(market[i : i + 800]), other.push(moon[i : i + 800]))[1] for i in range(0, 8000, 800)]
    assert torch.equal(torch.cat([*together, other.finish()]), alone)


def test_silence_is_no_speech(network):
    assert listen(network, torch.zeros(16_000), 16_000).max() < 0.1


def test_speech_ends_where_it_fell_silent_and_not_before():
    probabilities = torch.cat([torch.full((20,), 0.9), torch.full((10,), SILENCE + 0.05), torch.zeros(10)])
    assert speech_segments(probabilities) == [(0.0, pytest.approx(30 * 0.032 + 0.03))]
    assert speech_segments(torch.full((40,), 0.45)) == []
    assert speech_segments(torch.tensor([0.0] * 10 + [0.9] * 5 + [0.0] * 10)) == []  # too short


def test_a_frame_is_as_loud_as_the_louder_chunk_it_touches():
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    # Frames of 640 samples touch the chunks of 512 samples 0 1, 1 2, 2 3, 3 4, 5 6, 6 7, 7 8.
    expected = torch.tensor([0.2, 0.3, 0.4, 0.5, 0.7, 0.7, 0.0])
    assert torch.equal(per_frame(probabilities, 7), expected)
    assert len(per_frame(probabilities, 0)) == 0
