"""How the bundled samples are made; what they are is in test_demo and test_behaviour."""

from __future__ import annotations

import json
import wave

import pytest
import torch
from safetensors.torch import load_file

from lipforcing.drawn.speech import Utterance
from lipforcing.media import probe
from tools import make_samples as samples


@pytest.fixture(autouse=True)
def voice(monkeypatch):
    """A sentence is half a second of sound with one long vowel."""
    sound = 0.2 * torch.ones(8000)
    monkeypatch.setattr(samples, "speak", lambda *_: Utterance(sound, [("A:", 0.1, 0.4)]))
    monkeypatch.setattr(samples, "utterance", lambda seed, s: (sound, torch.full((12, 5), 0.5)))
    monkeypatch.setattr(samples, "PORTRAIT", (64, 48))


def test_words_have_silence_around_them():
    waveform, mouth = samples.spoken("", "", 0)
    assert len(waveform) == len(mouth) * 640 and not waveform[:3200].any() and waveform[3200:11200].all()
    opening = mouth[:, 0]
    assert opening.argmax() in range(8, 15) and opening[:4].max() < 0.2 < 0.6 < opening.max()  # 0.3 to 0.6 s


def test_clips_recordings_and_tracks(tmp_path):
    samples.make_samples(tmp_path)
    tracks = json.loads((tmp_path / "tracks.json").read_text())
    assert set(tracks) == set(samples.CLIPS) | set(samples.SPEECHES)
    for name in samples.CLIPS:
        info = probe(tmp_path / f"{name}.mp4")
        assert (info.width, info.height, info.frame_count) == (48, 64, len(tracks[name])) and info.has_audio
    for name in samples.SPEECHES:
        with wave.open(str(tmp_path / f"{name}.wav")) as file:
            assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
            assert file.getnframes() == 640 * len(tracks[name])


def test_unseen_speech(tmp_path):
    samples.make_unseen_speech(tmp_path / "new" / "speech.safetensors", count=3)
    said = load_file(tmp_path / "new" / "speech.safetensors")
    assert said["waveform"].shape == (3, 8000) and said["waveform"].dtype == torch.int16
    assert said["waveform"][0, 0] == round(0.2 * 32767) and said["mouth"].shape == (3, 12, 5)
