"""Making a smaller file of the student."""

from __future__ import annotations

import re
from pathlib import Path

from ..lipforcing.errors import InputError
from . import host
from .loaders import MODELS
from .node_api import io

DTYPES = {"fp8_e4m3fn": "fp8", "bf16": "bf16"}  # and how a file's name ends
MEGABYTE = 1 << 20


class LipForcingConvert(io.ComfyNode):
    """Model file -> a safetensors file in fp8 or bf16."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingConvert",
            display_name="Lip Forcing Convert",
            category="lip forcing/loaders",
            description=(
                "Writes a model file of the pack's kinds anew, once, as a .safetensors file: fp8 is half as large as "
                "bf16 and keeps a scale per layer. Reads block by block, so it needs little memory. Nothing is ever "
                "overwritten."
            ),
            search_aliases=["quantize", "fp8", "smaller model"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=host.model_names(MODELS),
                    tooltip="File in models/diffusion_models, such as the released lipforcing_14b.pth (28 GB).",
                ),
                io.Combo.Input(
                    "dtype",
                    options=[*DTYPES],
                    default="fp8_e4m3fn",
                    tooltip=(
                        "fp8_e4m3fn: the blocks' large matrices in 8 bits with a scale each, the rest in bf16. bf16: "
                        "everything in 16 bits."
                    ),
                ),
                io.String.Input(
                    "name",
                    default="",
                    tooltip="Of the new file, in models/diffusion_models. Empty: the old name with _fp8 or _bf16.",
                ),
            ],
            outputs=[io.String.Output("file", tooltip="Name of the new file, for Lip Forcing Student Loader.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, model_name: str, dtype: str, name: str) -> io.NodeOutput:
        from ..lipforcing.checkpoints import convert

        source = host.model_path(MODELS, model_name)
        out = Path(host.model_folder(MODELS)) / new_name(model_name, dtype, name)
        if out.exists():
            raise InputError(f"{out.name} is there already, and nothing is overwritten; give another name.")
        report = host.progress_bar()

        def progress(written: int, total: int) -> None:
            report(written // MEGABYTE, max(1, total // MEGABYTE))

        convert(source, out, dtype, progress)
        said = f"{out.name}: {out.stat().st_size / 1e9:.1f} GB. Press R to see it in the loaders."
        return io.NodeOutput(out.name, ui={"text": (said,)})


def new_name(model_name: str, dtype: str, name: str) -> str:
    """What a converted file is called.

    Raises:
        InputError: the name leads into another folder.
    """
    chosen = name.strip() or f"{Path(model_name.replace(chr(92), '/')).stem}_{DTYPES[dtype]}"
    if not re.fullmatch(r"[^/\\:*?\"<>|]+", chosen) or chosen.startswith("."):
        raise InputError(f'{name!r} is no name for a file in models/{MODELS}; leave out folders and : * ? " < > |.')
    return chosen if chosen.endswith(".safetensors") else f"{chosen}.safetensors"
