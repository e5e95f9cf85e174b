"""The models of a run in one wire."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..lipforcing.errors import InputError
from . import host, inputs, sockets
from .graph import feeds
from .needs import PROMPT_FILE, PROMPTS, check_student
from .node_api import io


@dataclass(frozen=True)
class Parts:
    """What of the host's values make a family; None is the tiny family's, or see `engine.running_family`.

    Attributes:
        model: MODEL, the student.
        vae, decoder: VAE; without a decoder the `vae` decodes.
        audio_encoder: AUDIO_ENCODER.
        positive: CONDITIONING, the prompt.
    """

    model: Any = None
    vae: Any = None
    decoder: Any = None
    audio_encoder: Any = None
    positive: Any = None

    def or_those_of(self, other: Parts | None) -> Parts:
        """These, and what they leave open as `other` has it."""
        if other is None:
            return self
        mine = {field.name: getattr(self, field.name) for field in fields(self)}
        return Parts(**{name: getattr(other, name) if part is None else part for name, part in mine.items()})


class LipForcingFamily(io.ComfyNode):
    """MODEL, VAE, AUDIO_ENCODER, CONDITIONING -> LIPFORCING_FAMILY."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingFamily",
            display_name="Lip Forcing Family",
            category="lip forcing/loaders",
            description=(
                "Ties the models of a run together, so that one wire goes to Lip Forcing Video to Video. The audio "
                "encoder may be left open: the wav2vec2-base-960h in models/audio_encoders is recognised by its "
                "content, whatever its name. So may the prompt, once it was saved here."
            ),
            search_aliases=["lip sync models", "model bundle", "pipe"],
            inputs=[
                io.Model.Input("model", lazy=True, tooltip="The student, from Lip Forcing Student Loader."),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    lazy=True,
                    tooltip="wan_2.1_vae for the released student. Open: the tiny codec.",
                ),
                inputs.decoder(),
                io.AudioEncoder.Input(
                    "audio_encoder",
                    optional=True,
                    lazy=True,
                    tooltip=(
                        "wav2vec2-base-960h for the released student. Open: the file of that content in "
                        "models/audio_encoders, whatever its name; for the tiny student its own ear."
                    ),
                ),
                inputs.positive("student", lazy=True),
                io.Boolean.Input(
                    "save_prompt_embedding",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        f"Writes what positive holds to models/{PROMPTS}/{PROMPT_FILE}, where it is found when "
                        "positive is open: the text encoder (7 GB) is then needed no more."
                    ),
                ),
            ],
            outputs=[sockets.Family.Output("family", tooltip="For Lip Forcing Video to Video and Audio Encode.")],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def check_lazy_status(cls, **values) -> list[str]:
        check_student(cls.hidden.prompt, cls.hidden.unique_id)
        return [*values]

    @classmethod
    def execute(
        cls, model, vae=None, decoder=None, audio_encoder=None, positive=None, save_prompt_embedding: bool = False
    ) -> io.NodeOutput:
        from .host import patchers
        from .speech import find_encoder

        info = patchers.model_info(model, "a Lip Forcing student")
        if save_prompt_embedding:
            save_prompt(positive, cls.hidden.prompt or {}, cls.hidden.unique_id)
        return io.NodeOutput(Parts(model, vae, decoder, find_encoder(audio_encoder, info), positive))


def save_prompt(positive: list | None, graph: dict, node: str) -> Path:
    """Write the embedding of a prompt to where `conditioning.prompt_of` looks for it.

    Args:
        positive: CONDITIONING.
        graph: the running prompt in API format; says in the file's metadata what was encoded, and by which file.
        node: id in there of the node whose input `positive` is.

    Raises:
        InputError: nothing is connected, or a file of that name is no prompt.
    """
    from ..lipforcing.checkpoints import Kind, open_checkpoint
    from ..lipforcing.text import write_embedding

    if positive is None:
        raise InputError("There is no prompt to save; connect CLIP Text Encode to positive, or turn saving off.")
    out = Path(host.model_folder(PROMPTS)) / PROMPT_FILE
    if out.exists():
        open_checkpoint(out, Kind.TEXT_EMBEDDING)  # another file of that name is not ours to replace
    text, encoder = encoded_by(graph, node)
    path = encoder and host.model_path(PROMPTS, encoder)
    about = {"encoder": encoder, "encoder_sha256": host.sha256(path)} if path else {}
    return write_embedding(positive[0][0].cpu(), out, text, **about)


def encoded_by(graph: dict, node: str) -> tuple[str, str]:
    """The text behind the input `positive` of a node, and the file of its encoder; "" where the graph does not tell."""
    encode = feeds(graph, graph.get(node, {}), "positive")
    text = encode.get("inputs", {}).get("text")
    loader = feeds(graph, encode, "clip").get("inputs", {})
    return tuple(value if isinstance(value, str) else "" for value in (text, loader.get("clip_name")))
