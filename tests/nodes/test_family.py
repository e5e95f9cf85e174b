"""Models in one wire; the prompt that is kept; the audio encoder that is recognised by its content."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file


def test_single_inputs_replace_those_of_the_family(pack):
    parts = pack("nodes.family").Parts
    family = parts(model="student", vae="vae", decoder="fast")
    assert parts(decoder="other").or_those_of(family) == parts("student", "vae", "other")
    assert parts(model="mine").or_those_of(None) == parts("mine")


GRAPH = {
    "1": {"class_type": "CLIPLoader", "inputs": {"clip_name": "umt5.safetensors", "type": "wan"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a person talking", "clip": ["1", 0]}},
    "3": {"class_type": "LipForcingFamily", "inputs": {"positive": ["2", 0]}},
}
RELEASED = SimpleNamespace(text_len=512, text_dim=4096)


def test_a_kept_prompt_is_found_again(pack, monkeypatch, tmp_path):
    conditioning, family = pack("nodes.conditioning"), pack("nodes.family")
    with pytest.raises(pack("lipforcing.errors").InputError, match="save prompt embedding"):
        conditioning.prompt_of(None, RELEASED)
    (tmp_path / "text_encoders" / "umt5.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(family.host, "sha256", lambda path: f"hash of {path[-16:]}")
    text = torch.randn(1, 6, 4096)
    path = family.save_prompt([[text, {}]], GRAPH, "3")
    assert path.name == "lipforcing_prompt.safetensors"
    said = pack("lipforcing.checkpoints").open_checkpoint(path).file.metadata["lipforcing"]
    assert all(word in said for word in ("a person talking", "umt5.safetensors", "hash of umt5.safetensors"))
    found = conditioning.prompt_of(None, RELEASED)
    assert found.shape == (1, 512, 4096) and torch.equal(found[:, :6], text) and not found[:, 6:].any()
    other = torch.randn(1, 4, 4096)
    family.save_prompt([[other, {}]], {}, "3")
    assert torch.equal(conditioning.prompt_of(None, RELEASED)[:, :4], other)


def test_another_file_of_that_name_is_not_replaced(pack, tmp_path):
    place = tmp_path / "text_encoders" / "lipforcing_prompt.safetensors"
    save_file({"something": torch.ones(3)}, place)
    with pytest.raises(pack("lipforcing.errors").InputError):
        pack("nodes.family").save_prompt([[torch.randn(1, 6, 4096), {}]], GRAPH, "3")
    assert list(load_file(place)) == ["something"]


def test_an_unknown_graph_is_no_obstacle(pack):
    encoded_by = pack("nodes.family").encoded_by
    assert encoded_by(GRAPH, "3") == ("a person talking", "umt5.safetensors")
    linked = {**GRAPH, "2": {"class_type": "Other", "inputs": {"text": ["9", 0], "clip": ["8", 0]}}}
    assert encoded_by(linked, "3") == encoded_by({}, "3") == ("", "")


def test_the_audio_encoder_is_recognised_by_content(pack, monkeypatch, tmp_path):
    speech, codecs = pack("nodes.speech"), pack("nodes.host.codecs")
    checkpoints, config = pack("lipforcing.checkpoints"), pack("lipforcing.audio.wav2vec2").Wav2Vec2Config
    folder = tmp_path / "audio_encoders"
    kinds = {"model.safetensors": config.base_960h(), "large.safetensors": "another size"}

    def opened(path, kind):
        name = path.rsplit("/", 1)[-1]
        if name not in kinds:
            raise pack("lipforcing.errors").InputError("another kind")
        assert kind is checkpoints.Kind.WAV2VEC2
        return SimpleNamespace(config=kinds[name])

    monkeypatch.setattr(checkpoints, "open_checkpoint", opened)
    monkeypatch.setattr(codecs, "load_audio_encoder", lambda path: path)
    released = SimpleNamespace(config=SimpleNamespace(audio_dim=10752), name="lipforcing_14b.pth")
    tiny = SimpleNamespace(config=SimpleNamespace(audio_dim=384), name="tiny")
    with pytest.raises(pack("lipforcing.errors").InputError, match=r"wav2vec2-base-960h.*any name"):
        speech.find_encoder(None, released)
    for name in (*kinds, "whisper.safetensors"):
        (folder / name).touch()
    assert speech.find_encoder(None, released) == str(folder / "model.safetensors")
    assert speech.find_encoder("mine", released) == "mine" and speech.find_encoder(None, tiny) is None
    kinds["large.safetensors"] = config.base_960h()
    with pytest.raises(pack("lipforcing.errors").InputError, match=r"large.safetensors and model.safetensors"):
        speech.find_encoder(None, released)
