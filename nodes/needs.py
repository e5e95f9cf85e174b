"""What a model needs beside itself, and whether a graph has it: asked before anything is loaded."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ..lipforcing.errors import InputError
from . import host, sockets
from .graph import Graph, behind, feeds, is_link

if TYPE_CHECKING:
    from ..lipforcing.models import WanConfig

ENCODERS = "audio_encoders"
ENCODER_URL = "https://huggingface.co/facebook/wav2vec2-base-960h"
PROMPTS, PROMPT_FILE = "text_encoders", "lipforcing_prompt.safetensors"  # where a saved prompt is
WAN_URL = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged"

LOADERS = {"LipForcingStudentLoader", "LipForcingTeacherLoader"}


def ear(socket: str = "") -> str:
    """wav2vec2; `socket` is what it has to be connected to, where it is not found by its content."""
    found = fitting_encoders()
    where = "" if found else f" (model.safetensors from {ENCODER_URL} into {host.model_folder(ENCODERS)}, any name)"
    return f"wav2vec2-base-960h{where}" + f", with Load Audio Encoder on {socket}" * bool(socket)


def vae() -> str:
    """The codec of the released models."""
    return f"{_file('wan_2.1_vae.safetensors', 'vae')}, with Load VAE on vae"


def prompt(kept: bool = True) -> str:
    """The text; `kept` where a saved one is found."""
    encoder = _file("umt5_xxl_fp8_e4m3fn_scaled.safetensors", PROMPTS)
    once = ", once, if Lip Forcing Family saves it (save prompt embedding)" * kept
    return f'a prompt, "a person talking", through {encoder}, with Load CLIP (type wan) on positive{once}'


def _file(name: str, category: str) -> str:
    """A file of Wan by name, with where to get it and where to put it if it is not there."""
    if host.model_path(category, name) is not None:
        return name
    return f"{name} (from {WAN_URL} into {host.model_folder(category)})"


def lacks(name: str, needs: list[str]) -> InputError:
    """The error that a model called `name` lacks all of these."""
    listed = "; ".join(needs)
    return InputError(f"{name} also needs {listed}{'; after a download press R' * ('://' in listed)}.")


def fitting_encoders() -> list[str]:
    """Names of the files in the folder of audio encoders that are wav2vec2-base-960h by their content."""
    from ..lipforcing.audio.wav2vec2 import Wav2Vec2Config
    from ..lipforcing.checkpoints import Kind, open_checkpoint

    fitting = []
    for name in host.model_names(ENCODERS):
        with contextlib.suppress(InputError):
            if open_checkpoint(host.model_path(ENCODERS, name), Kind.WAV2VEC2).config == Wav2Vec2Config.base_960h():
                fitting.append(name)
    return fitting


def prompt_is_kept() -> bool:
    """Whether a prompt was saved."""
    return host.model_path(PROMPTS, PROMPT_FILE) is not None


def check_student(graph: Graph | None, node: str) -> None:
    """Refuse a graph in which the student of a node lacks something.

    The host asks a node `check_lazy_status` before it evaluates what feeds the node's lazy inputs; asked there, nothing
    of the models is loaded yet. What the graph does not tell (a student of another loader, a name or a family that
    comes from a node we do not know) is left to the run, which refuses as well.

    Args:
        graph: the running prompt in API format.
        node: id in there of *Video to Video*, *Causal Sampler*, *Family* or *Audio Encode*.

    Raises:
        InputError: names all that is missing, where to get it and where to put it.
    """
    graph = graph or {}
    own = graph.get(node, {})
    family = feeds(graph, own, "family")
    if family and family["class_type"] != "LipForcingFamily":
        return
    given = {name for one in (own, family) for name, value in one.get("inputs", {}).items() if is_link(value)}
    bearer = node if is_link(own.get("inputs", {}).get("model")) else own.get("inputs", {}).get("family", [""])[0]
    found = _model_behind(graph, bearer)
    if found is None:
        return
    name, config = found
    if config.text_len == 1:
        return
    kind, needs = own["class_type"], []
    if kind == "LipForcingCausalSampler":
        needs += _ear_of_features(graph, own)
    elif "audio_encoder" not in given and not fitting_encoders():
        needs.append(ear())
    if kind == "LipForcingVideoToVideo" and "vae" not in given:
        needs.append(vae())
    if kind in ("LipForcingVideoToVideo", "LipForcingCausalSampler") and not ({"positive"} & given or prompt_is_kept()):
        needs.append(prompt())
    if needs:
        raise lacks(name, needs)


def check_teacher(graph: Graph | None, loader: str) -> None:
    """`check_student` for the teacher of a loader, which asks before it loads: whoever samples with it does so on what
    *Lip Forcing Conditioning* gives.
    """
    graph = graph or {}
    found = _model_of(graph.get(loader, {}))
    if found is None or found[1].text_len == 1:
        return
    needs = []
    for sampler in graph:
        if all(number != loader for number, _ in behind(graph, sampler, "model")):
            continue
        for _, source in behind(graph, sampler, "positive"):
            if source["class_type"] == "LipForcingConditioning":
                needs += _ear_of_features(graph, source)
                needs += [prompt(kept=False)] * (not is_link(source["inputs"].get("positive")))
    if needs:
        raise lacks(found[0], list(dict.fromkeys(needs)))


def _ear_of_features(graph: Graph, node: dict) -> list[str]:
    """What is missing for a released model to understand the `audio_features` of a node."""
    encode = feeds(graph, node, "audio_features")
    family = feeds(graph, encode, "family")
    if encode.get("class_type") != "LipForcingAudioEncode" or is_link(encode["inputs"].get("audio_encoder")):
        return []
    if not family:
        return [ear("audio_encoder of Lip Forcing Audio Encode")]
    if family["class_type"] != "LipForcingFamily" or is_link(family["inputs"].get("audio_encoder")):
        return []
    return [] if fitting_encoders() else [ear()]


def _model_behind(graph: Graph, node: str) -> tuple[str, WanConfig] | None:
    """Name and sizes of the model that a node runs, from its file's header; None where the graph does not tell."""
    loaders = [source for _, source in behind(graph, node, "model") if source["class_type"] in LOADERS]
    return _model_of(loaders[0]) if len(loaders) == 1 else None


def _model_of(loader: dict) -> tuple[str, WanConfig] | None:
    from ..lipforcing.checkpoints import Kind, open_checkpoint

    name = loader.get("inputs", {}).get("model_name")
    path = host.model_path("diffusion_models", name) if isinstance(name, str) and name != sockets.TINY else None
    if path is None:
        return None
    with contextlib.suppress(InputError):  # the loader says it
        checkpoint = open_checkpoint(path, Kind.STUDENT, Kind.TEACHER, Kind.WAN_BASE)
        return checkpoint.file.label, checkpoint.config
    return None
