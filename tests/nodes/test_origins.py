"""The files behind the wires of a run, found through the prompt."""

from __future__ import annotations

import hashlib
import importlib
import json
import types

import pytest

from .stand_in import LOADED_AS, load_pack

GRAPH = {
    "1": {"class_type": "LoadVideo", "inputs": {"file": "face.mp4"}},
    "2": {"class_type": "Trim Video", "inputs": {"video": ["1", 0], "seconds": 2.0}},
    "3": {"class_type": "LoadAudio", "inputs": {"audio": "speech.wav"}},
    "4": {"class_type": "LipForcingStudentLoader", "inputs": {"model_name": "s.pth", "weight_dtype": "default"}},
    "5": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["4", 0], "lora_name": "l.safetensors"}},
    "6": {"class_type": "VAELoader", "inputs": {"vae_name": "vae.safetensors"}},
    "7": {"class_type": "LipForcingFamily", "inputs": {"model": ["5", 0], "vae": ["6", 0]}},
    "8": {"class_type": "Make Noise", "inputs": {"seconds": 2.0, "name": "nothing.wav"}},
    "9": {
        "class_type": "LipForcingVideoToVideo",
        "inputs": {"video": ["2", 0], "audio": ["3", 0], "mix": ["8", 0], "family": ["7", 0], "seed": 1},
    },
}
RELEASED = types.SimpleNamespace(tiny=False)
TINY = types.SimpleNamespace(tiny=True)


@pytest.fixture
def origins(tmp_path, monkeypatch):
    """The module, in a host with a few files."""
    load_pack()
    module = importlib.import_module(f"{LOADED_AS}.nodes.origins")
    places = {
        ("input", "face.mp4"): b"v",
        ("input", "speech.wav"): b"a",
        ("diffusion_models", "s.pth"): b"s",
        ("loras", "l.safetensors"): b"l",
        ("vae", "vae.safetensors"): b"c",
        ("audio_encoders", "ear.safetensors"): b"e",
        ("text_encoders", "lipforcing_prompt.safetensors"): b"p",
    }
    for (folder, name), content in places.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(content)

    def path(folder: str, name: str) -> str | None:
        return str(tmp_path / folder / name) if (folder, name) in places else None

    monkeypatch.setattr(module.host, "model_path", path)
    monkeypatch.setattr(module.host, "input_path", lambda name: path("input", name))
    monkeypatch.setattr(module.host, "progress_bar", lambda: lambda *_: None)
    monkeypatch.setattr(module, "fitting_encoders", lambda: ["ear.safetensors"])
    return module


def entries(origins, graph: dict, info, hashed: bool = True) -> dict:
    with origins.Origins(graph, "9", info, hashed) as found:
        return found.entries()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_every_file_is_named_by_what_it_is_for(origins):
    said = entries(origins, GRAPH, RELEASED)
    weights = {role: (entry["file"], entry["sha256"]) for role, entry in said["weights"].items()}
    assert weights == {
        "model": ("l.safetensors", sha256(b"l")),
        "model 2": ("s.pth", sha256(b"s")),
        "vae": ("vae.safetensors", sha256(b"c")),
        "audio_encoder": ("ear.safetensors", sha256(b"e")),
        "positive": ("lipforcing_prompt.safetensors", sha256(b"p")),
    }
    assert {role: said["inputs"][role]["sha256"] for role in ("video", "audio")} == {
        "video": sha256(b"v"),
        "audio": sha256(b"a"),
    }
    assert said["inputs"]["mix"] == {"file": None, "note": "no file is known behind this wire"}
    assert json.loads(json.dumps(said)) == said


def test_nothing_is_read_for_a_report_that_nobody_reads(origins, monkeypatch):
    monkeypatch.setattr(hashlib, "sha256", None)
    said = entries(origins, GRAPH, RELEASED, hashed=False)
    assert said["weights"]["model 2"] == {"file": "s.pth", "note": origins.NOT_READ}


def test_what_comes_with_the_pack_is_said_to(origins):
    graph = {
        "1": {"class_type": "LipForcingSample", "inputs": {"clip": "ada", "speech": "market"}},
        "9": {"class_type": "LipForcingVideoToVideo", "inputs": {"video": ["1", 0], "audio": ["1", 1]}},
    }
    said = entries(origins, graph, TINY)
    own = {"file": None, "note": "comes with the pack"}
    assert said["weights"] == {"model": own, "vae": own, "audio_encoder": own}
    assert {role: entry["file"] for role, entry in said["inputs"].items()} == {
        "video": "ada.mp4",
        "audio": "market.wav",
    }
    assert entries(origins, {}, TINY) == {"weights": {}, "inputs": {}}
