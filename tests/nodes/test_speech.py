"""Speech in the taken-apart graph: the rows that the whole-video node's pipeline uses."""

from __future__ import annotations

import importlib
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch

from .stand_in import LOADED_AS, load_pack


@pytest.fixture(scope="module")
def pack():
    """Gives modules of the loaded pack by name."""
    load_pack()
    return lambda name: importlib.import_module(f"{LOADED_AS}.{name}")


@pytest.fixture(scope="module")
def encoder(pack):
    """A wav2vec2 with random weights, whose every row depends on how much is encoded."""
    wav2vec2 = pack("lipforcing.audio.wav2vec2")
    torch.manual_seed(1)
    sizes = wav2vec2.Wav2Vec2Config(16, 2, 2, 24, (8,) * 7, position_groups=4)
    return pack("lipforcing.audio.wav2vec2_encoder").Wav2Vec2Encoder(wav2vec2.Wav2Vec2(sizes).eval())


@pytest.mark.parametrize("rate", [24, 25, 30, 60])
@pytest.mark.parametrize("length, seconds", [("audio", 1.0), ("audio", 1.21), ("video", 0.5), ("video", 3.0)])
def test_a_graph_hears_what_the_whole_node_hears(pack, encoder, tmp_path, monkeypatch, rate, length, seconds):
    media, pipeline, speech = pack("lipforcing.media"), pack("lipforcing.pipeline"), pack("nodes.speech")
    waveform = 0.1 * torch.randn(1, round(seconds * 16_000), generator=torch.Generator().manual_seed(3))
    with media.VideoWriter(tmp_path / "in.mkv", 32, 32, Fraction(rate)) as writer:
        for n in range(rate):
            writer.write(torch.zeros(32, 32, 3, dtype=torch.uint8), n / rate)

    heard = []
    voice = pack("lipforcing.stream.voice").Voice
    push_rows = voice.push_rows
    monkeypatch.setattr(voice, "push_rows", lambda self, rows: (heard.append(rows), push_rows(self, rows)))
    network = pack("lipforcing.tiny.family").tiny_family().student.network
    student = pack("lipforcing.models").WanTransformer(replace(network.config, audio_dim=encoder.feature_dim))
    student = pack("lipforcing.sampling.causal").NetworkStudent(student.requires_grad_(False))
    options = pipeline.SyncOptions(duration=media.DurationPolicy(length))
    with media.VideoReader(tmp_path / "in.mkv") as video:
        info = video.info
        plan = options.duration.plan(seconds, info.frame_rate, info.duration, info.frame_count)
        family = replace(pack("lipforcing.tiny.family").tiny_family(), student=student, audio=encoder)
        pipeline.planned_voice(family, media.Audio(waveform, 16_000), plan, pack("lipforcing.stream.meter").Meter())
    rows = torch.cat(heard)

    monkeypatch.setattr(speech, "encoder_of", lambda *_: encoder)
    monkeypatch.setattr(speech.host, "intermediate", lambda tensor: tensor)
    value = {"waveform": waveform[None], "sample_rate": 16_000}
    execute = speech.LipForcingAudioEncode.execute
    (tracked,) = execute(value, track=SimpleNamespace(plan=plan)).args
    assert torch.equal(tracked.rows(len(rows)), rows)
    (alone,) = execute(value).args
    assert torch.equal(alone.rows(len(rows)), rows) == (length == "audio")


def test_only_sound_that_is_shown_is_encoded(pack, monkeypatch):
    speech, base = pack("nodes.speech"), pack("lipforcing.audio.logmel")
    monkeypatch.setattr(speech.host, "intermediate", lambda tensor: tensor)
    plan = pack("lipforcing.media").DurationPolicy("video").plan(120.0, Fraction(25), 1.0, 25)
    (heard,) = speech.LipForcingAudioEncode.execute(
        {"waveform": torch.zeros(1, 2, 120 * 16_000), "sample_rate": 16_000}, track=SimpleNamespace(plan=plan)
    ).args
    assert 25 <= len(heard.features) <= 27 and heard.features.shape[1] == base.LogMelEncoder.feature_dim


@pytest.mark.parametrize("rate", [44_100, 44_100.0])
def test_sample_rates_that_are_floats(pack, rate):
    audio = pack("nodes.values").audio_of({"waveform": torch.zeros(1, 2, 44_100), "sample_rate": rate})
    assert audio.seconds == 1 and len(audio.mono16k()) == 16_000
