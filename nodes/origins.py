"""Which files are behind the wires of a run, with their hashes, for its report."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import host
from .graph import Graph, behind, is_link
from .needs import ENCODERS, PROMPT_FILE, PROMPTS, fitting_encoders
from .samples import CLIP, SAMPLES, SPEECH

if TYPE_CHECKING:
    from .host.patchers import ModelInfo

#: By input, the kinds of model files that the nodes behind it load.
WEIGHTS = {
    "model": ("diffusion_models", "loras", "checkpoints"),
    "vae": ("vae", "vae_approx", "checkpoints"),
    "decoder": ("vae", "vae_approx", "checkpoints"),
    "audio_encoder": (ENCODERS,),
    "positive": (PROMPTS,),
}
MEDIA = ("video", "audio", "speakers", "mix")
OWN = "comes with the pack"
UNKNOWN = "no file is known behind this wire"
NOT_READ = "not hashed, as nothing was connected to report during the run"


class Origins:
    """Files of a run, hashed while it goes on; hashes are kept as long as the program runs and the files do not change.

    Args:
        graph: the running prompt.
        node: id of the running node in there.
        info: of its student.
        hashed: whether anybody reads the report; for nobody 28 GB are not read.
    """

    def __init__(self, graph: Graph, node: str, info: ModelInfo, hashed: bool) -> None:
        from ..lipforcing.report import Hashes

        inputs = graph.get(node, {}).get("inputs", {})
        named = {
            "weights": {role: _weights(graph, node, role, info) for role in WEIGHTS if inputs},
            "inputs": {role: _media(graph, node, role) for role in MEDIA if role in inputs},
        }
        self._notes, self._hashes = {}, {}
        for kind, roles in named.items():
            notes = {role: {"file": None, "note": found} for role, found in roles.items() if isinstance(found, str)}
            files = _numbered({role: found for role, found in roles.items() if isinstance(found, list)})
            if not hashed:
                notes |= {role: {"file": os.path.basename(path), "note": NOT_READ} for role, path in files.items()}
            self._notes[kind], self._hashes[kind] = notes, Hashes(files if hashed else {})

    def __enter__(self) -> Origins:
        return self

    def __exit__(self, *_) -> None:
        for hashes in self._hashes.values():
            hashes.close()

    def entries(self) -> dict[str, dict[str, dict]]:
        """`weights` and `inputs` of the manifest: name, bytes and SHA-256 of every file, or a note that there is none.

        Waits for what is not hashed yet: the node's bar moves over the bytes, and each move is a cancel point.
        """
        report = host.progress_bar()
        return {kind: {**self._notes[kind], **hashes.entries(report)} for kind, hashes in self._hashes.items()}


def _weights(graph: Graph, node: str, role: str, info: ModelInfo) -> list[str] | str:
    """Files of a part of the models, or a note."""
    inputs = graph[node]["inputs"]
    if not is_link(inputs.get(role)) and is_link(inputs.get("family")):
        node = inputs["family"][0]
    if is_link(graph.get(node, {}).get("inputs", {}).get(role)):
        return _behind(graph, node, role, lambda name: _model(role, name))
    if role == "audio_encoder" and not info.tiny:
        return [host.model_path(ENCODERS, name) for name in fitting_encoders()]
    if role == "positive" and not info.tiny:
        return [path for path in [host.model_path(PROMPTS, PROMPT_FILE)] if path]
    return [] if role in ("decoder", "positive") else OWN


def _behind(graph: Graph, node: str, role: str, path_of: Callable[[str], str | None]) -> list[str] | str:
    """Files that the nodes behind an input were told to load, the nearest first, or a note."""
    nodes = [source for _, source in behind(graph, node, role)]
    values = [value for source in nodes for value in source["inputs"].values() if isinstance(value, str)]
    files = [path for path in map(path_of, values) if path is not None]
    if files:
        return files
    return OWN if any(source["class_type"].startswith("LipForcing") for source in nodes) else UNKNOWN


def _model(role: str, name: str) -> str | None:
    return next((path for kind in WEIGHTS[role] if (path := host.model_path(kind, name)) is not None), None)


def _media(graph: Graph, node: str, role: str) -> list[str] | str:
    """Files of a clip or a sound, or a note."""
    ending = CLIP if role == "video" else SPEECH

    def path_of(name: str) -> str | None:
        sample = str(SAMPLES / f"{name}{ending}")
        return host.input_path(name) or (sample if os.path.isfile(sample) else None)

    return _behind(graph, node, role, path_of)


def _numbered(files: dict[str, list[str]]) -> dict[str, str]:
    """By role, and from the second one on by role and number."""
    return {
        role if number == 1 else f"{role} {number}": path
        for role, paths in files.items()
        for number, path in enumerate(dict.fromkeys(paths), 1)
    }
