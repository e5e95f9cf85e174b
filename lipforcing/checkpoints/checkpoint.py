"""An opened checkpoint: what it is, and its tensors under official names whatever the file calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .catalog import config_for
from .configs import OwnMetadata, own_metadata
from .detect import Kind, Recognition, recognise, transformer_size
from .files import TensorFile, open_tensors
from .layouts import Layout, with_official_names
from .lora import Adapted, is_lora
from .quantization import Dequantised
from .sources import TensorSource

REMEDIES = {Kind.ADAPTER: "merge it with its base model first (lipforcing merge BASE ADAPTER OUT)"}


@dataclass(frozen=True)
class Checkpoint:
    """A file or folder of weights; only its list of tensors is loaded.

    Attributes:
        file: the tensors as the file names them.
        layout: how its names map to the official ones.
        stored: under official names, still quantised and unmerged if the file is.
        weights: under official names, float8 multiplied out, a file's own LoRA merged in.
        recognition: what it is.
        config: sizes (WanConfig, WanVAEConfig, ...); None where unknown.
    """

    file: TensorFile
    layout: Layout
    stored: TensorSource
    weights: TensorSource
    recognition: Recognition
    config: Any

    @property
    def kind(self) -> Kind:
        return self.recognition.kind

    @property
    def own(self) -> OwnMetadata:
        return self.recognition.own

    @property
    def schedule(self) -> tuple[float, ...] | None:
        """Sigmas that the student was distilled for; None where the file does not say."""
        return self.own.schedule or None

    def describe(self) -> str:
        """In words, for example "a Lip Forcing student (14B)"."""
        size = transformer_size(self.weights)
        return (
            f"{self.recognition.found} ({size})" if size and self.kind is not Kind.UNKNOWN else self.recognition.found
        )


def open_checkpoint(path: str | Path, *expected: Kind) -> Checkpoint:
    """Open weights and tell what they are by their content.

    Args:
        path: file or folder, see ``files.open_tensors``.
        expected: kinds that will do; none means any.

    Raises:
        InputError: unreadable, damaged, malicious, or of another kind.
    """
    file = open_tensors(path)
    stored, layout = with_official_names(file)
    weights: TensorSource = Dequantised(stored)
    recognition = recognise(weights, own_metadata(file.metadata, file.label))
    if recognition.kind is Kind.STUDENT and any(is_lora(name) for name in weights):
        weights = Adapted(weights, weights)
    config = config_for(recognition.kind, weights, recognition.own)
    checkpoint = Checkpoint(file, layout, stored, weights, recognition, config)
    if expected and checkpoint.kind not in expected:
        wanted = " or ".join(kind.title for kind in expected)
        remedy = REMEDIES.get(checkpoint.kind, "choose the right file")
        raise InputError(f"{file.label} is {checkpoint.describe()}; expected {wanted}: {remedy}")
    return checkpoint
