"""All that a graph lacks for its model is said in one sentence, from headers, before anything is loaded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from ..checkpoints.samples import WAN, random_tensors
from .stand_in import node_classes

EAR = r"wav2vec2-base-960h \(model.safetensors from \S+ into \S+audio_encoders, any name\)"
VAE = r"wan_2.1_vae.safetensors \(from \S+ into \S+vae\), with Load VAE on vae"
PROMPT = r'a prompt, "a person talking", through umt5_xxl\S+ \(from \S+ into \S+text_encoders\), with Load CLIP'


@pytest.fixture
def needs(pack, tmp_path):
    """The module, with a student of released kind and small sizes; its weights must not be read."""
    catalog, detect = pack("lipforcing.checkpoints.catalog"), pack("lipforcing.checkpoints.detect")
    config = replace(WAN, audio_dim=10752, text_dim=4096)
    shapes = catalog.expected_shapes(detect.Kind.STUDENT, config)
    save_file(random_tensors(shapes), tmp_path / "diffusion_models" / "student.safetensors")
    return pack("nodes.needs")


def graph(**inputs) -> dict:
    """*Video to Video* with a student through a LoRA, and all that can be connected in nodes of their own."""
    return {
        "1": {"class_type": "LipForcingStudentLoader", "inputs": {"model_name": "student.safetensors"}},
        "2": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["1", 0], "lora_name": "l"}},
        "3": {"class_type": "LipForcingFamily", "inputs": {"model": ["2", 0]}},
        "4": {"class_type": "LipForcingAudioEncode", "inputs": {"audio": ["8", 0]}},
        "5": {"class_type": "LipForcingConditioning", "inputs": {"audio_features": ["4", 0]}},
        "6": {"class_type": "LipForcingVideoToVideo", "inputs": {"video": ["9", 0], "audio": ["8", 0], **inputs}},
    }


def refusal(check, *values) -> str:
    with pytest.raises(Exception, match="also needs") as refused:
        check(*values)
    assert type(refused.value).__name__ == "InputError"
    return str(refused.value)


@pytest.mark.parametrize("wire", [{"model": ["2", 0]}, {"family": ["3", 0]}], ids=["model", "family"])
def test_everything_is_named_at_once(needs, wire):
    said = refusal(needs.check_student, graph(**wire), "6")
    assert re.fullmatch(f"student.safetensors also needs {EAR}; {VAE}; {PROMPT}.*; after a download press R\\.", said)


def test_what_is_connected_or_there_is_not_missed(needs, pack, tmp_path, monkeypatch):
    whole = graph(model=["2", 0], vae=["7", 0], audio_encoder=["7", 1], positive=["7", 2])
    needs.check_student(whole, "6")
    bundle = graph(family=["3", 0], vae=["7", 0])
    bundle["3"]["inputs"].update(audio_encoder=["7", 1], positive=["7", 2])
    needs.check_student(bundle, "6")
    monkeypatch.setattr(needs, "fitting_encoders", lambda: ["any.safetensors"])
    save_file({"context": torch.zeros(1, 4, 4096)}, tmp_path / "text_encoders" / needs.PROMPT_FILE)
    needs.check_student(graph(model=["2", 0], vae=["7", 0]), "6")
    (tmp_path / "vae" / "wan_2.1_vae.safetensors").touch()
    said = refusal(needs.check_student, graph(model=["2", 0]), "6")
    assert said == "student.safetensors also needs wan_2.1_vae.safetensors, with Load VAE on vae."


def test_the_sampler_answers_for_the_ear_of_its_speech(needs, monkeypatch):
    prompt = graph()
    prompt["6"] = {
        "class_type": "LipForcingCausalSampler",
        "inputs": {"model": ["1", 0], "vae": ["7", 0], "audio_features": ["4", 0], "positive": ["7", 2]},
    }
    said = refusal(needs.check_student, prompt, "6")
    assert "Load Audio Encoder on audio_encoder of Lip Forcing Audio Encode" in said and "prompt" not in said
    prompt["4"]["inputs"]["family"] = ["3", 0]
    assert re.fullmatch(f"student.safetensors also needs {EAR}; after.*", refusal(needs.check_student, prompt, "6"))
    refusal(needs.check_student, prompt, "4")  # and so does Audio Encode itself
    monkeypatch.setattr(needs, "fitting_encoders", lambda: ["any.safetensors"])
    needs.check_student(prompt, "6")
    del prompt["4"]["inputs"]["family"]
    prompt["4"]["inputs"]["audio_encoder"] = ["7", 0]
    needs.check_student(prompt, "6")


def test_the_teacher_asks_for_those_who_sample_with_it(needs):
    prompt = graph()
    prompt["1"]["class_type"] = "LipForcingTeacherLoader"
    prompt["6"] = {"class_type": "KSampler", "inputs": {"model": ["2", 0], "positive": ["5", 0], "negative": ["5", 1]}}
    said = refusal(needs.check_teacher, prompt, "1")
    assert said.count("wav2vec2-base-960h (") == said.count("a prompt") == 1 and "save prompt" not in said
    prompt["6"]["inputs"]["positive"] = prompt["6"]["inputs"]["negative"] = ["7", 0]
    needs.check_teacher(prompt, "1")


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g["1"]["inputs"].update(model_name="tiny (built in)"),
        lambda g: g["1"]["inputs"].update(model_name=["7", 0]),
        lambda g: g["1"]["inputs"].update(model_name="gone.safetensors"),
        lambda g: g["1"].update(class_type="Another loader"),
        lambda g: g["3"].update(class_type="A switch"),
        lambda g: g["2"]["inputs"].update(other=["9", 0]) or g.update({"9": dict(g["1"])}),
    ],
    ids=["tiny", "name through a wire", "no such file", "loader unknown", "family unknown", "one of two"],
)
def test_what_the_graph_does_not_tell_is_left_to_the_run(needs, change):
    prompt = graph(family=["3", 0])
    change(prompt)
    needs.check_student(prompt, "6")
    needs.check_student(None, "6")


def test_lazy_inputs_are_those_of_nodes_that_ask_first():
    """One without the other would never be evaluated, or be loaded before it is asked."""
    for node in node_classes():
        lazy = {entry.id for entry in node.define_schema().inputs if entry.options.get("lazy")}
        assert bool(lazy) == hasattr(node, "check_lazy_status"), node
        if lazy:
            assert "PROMPT" in node.define_schema().hidden
            models = {"MODEL", "VAE", "AUDIO_ENCODER", "CONDITIONING", "LIPFORCING_FAMILY", "LIPFORCING_AUDIO"}
            assert lazy >= {entry.id for entry in node.define_schema().inputs if entry.io_type in models}
