"""Loaders: student and teacher as MODEL, the tiny codec as VAE."""

from __future__ import annotations

from ..lipforcing.errors import InputError
from . import host, inputs, sockets
from .needs import check_teacher
from .node_api import io

MODELS = "diffusion_models"
STUDENT_URL = "https://huggingface.co/JinhyukJang/lipforcing"
BASE_URL = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged"
ADAPTER_FILE = "omniavatar_ls_14b.pt"
ADAPTER_URL = STUDENT_URL
NO_ADAPTER = "none (merged file)"


def choices(built_in: str, category: str = MODELS) -> list[str]:
    """Entries of a loader: what needs no file, then the files that are there.

    A file that is not there must not be listed: from its absence the front end sees that a workflow needs a download.
    """
    return [built_in, *host.model_names(category)]


def model_file(name: str, url: str, category: str = MODELS, otherwise: str = sockets.TINY) -> str:
    """Path of a chosen model file.

    Raises:
        InputError: it is not there; says from where to get it and where to put it.
    """
    path = host.model_path(category, name)
    if path is None:
        raise InputError(
            f"{name} is not among the model files: download it from {url} into {host.model_folder(category)}, then "
            f"press R to refresh the list, or choose {otherwise!r}."
        )
    return path


class LipForcingStudentLoader(io.ComfyNode):
    """Model file -> MODEL: the causal student."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingStudentLoader",
            display_name="Lip Forcing Student Loader",
            category="lip forcing/loaders",
            description=(
                "Loads the causal student, the model that makes lip sync in two steps per chunk. The result is a MODEL "
                "like any other: LoRA loaders, torch.compile and the host's memory management work on it. The tiny "
                "student comes with the pack."
            ),
            search_aliases=["lip sync model", "load diffusion model", "unet loader"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=choices(sockets.TINY),
                    default=sockets.TINY,
                    tooltip=(
                        "File in models/diffusion_models: the released lipforcing_14b.pth (28 GB), one made of it by "
                        "Lip Forcing Convert, or the tiny student, which needs no file."
                    ),
                ),
                inputs.weight_dtype(),
            ],
            outputs=[io.Model.Output("student", display_name="model", tooltip="The student.")],
        )

    @classmethod
    def execute(cls, model_name: str, weight_dtype: str) -> io.NodeOutput:
        from ..lipforcing.tiny import family

        tiny = model_name == sockets.TINY
        path = family.weights_path("student") if tiny else model_file(model_name, STUDENT_URL)
        return io.NodeOutput(load_transformer(path, weight_dtype, causal=True))


class LipForcingTeacherLoader(io.ComfyNode):
    """Base and adapter -> MODEL: the bidirectional teacher."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingTeacherLoader",
            display_name="Lip Forcing Teacher Loader",
            category="lip forcing/loaders",
            description=(
                "Loads the bidirectional teacher: plain Wan 2.1 with the OmniAvatar-LS adapter merged into it, or one "
                "merged file. It runs through KSampler with CFG, on conditioning and latent from Lip Forcing "
                "Conditioning. The tiny teacher comes with the pack."
            ),
            search_aliases=["omniavatar", "lip sync teacher", "wan 2.1 lip sync"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=choices(sockets.TINY),
                    default=sockets.TINY,
                    tooltip=(
                        "File in models/diffusion_models: plain Wan 2.1 text to video, a teacher merged with "
                        "lipforcing merge, or the tiny teacher, which needs no file."
                    ),
                ),
                io.Combo.Input(
                    "adapter_name",
                    options=choices(NO_ADAPTER),
                    default=NO_ADAPTER,
                    tooltip="The OmniAvatar-LS adapter for plain Wan 2.1, merged in float32 while loading.",
                ),
                inputs.weight_dtype(),
            ],
            outputs=[io.Model.Output("teacher", display_name="model", tooltip="The teacher.")],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def execute(cls, model_name: str, adapter_name: str, weight_dtype: str) -> io.NodeOutput:
        from ..lipforcing.tiny import family

        tiny = model_name == sockets.TINY
        path = family.weights_path("teacher") if tiny else model_file(model_name, BASE_URL)
        check_teacher(cls.hidden.prompt, cls.hidden.unique_id)
        if adapter_name == NO_ADAPTER:
            return io.NodeOutput(load_transformer(path, weight_dtype, causal=False))
        adapter = model_file(adapter_name, ADAPTER_URL, otherwise=NO_ADAPTER)
        return io.NodeOutput(load_transformer(path, weight_dtype, causal=False, adapter=adapter))


def load_transformer(path, weight_dtype: str, *, causal: bool, adapter: str | None = None):
    """A student (`causal`) or a teacher as the host's MODEL.

    Args:
        path: file of the student, of a merged teacher, or with `adapter` of plain Wan 2.1.
        weight_dtype: see `host.patchers.load_model`.
        causal: which of both.
        adapter: file that makes a teacher of plain Wan 2.1.

    Raises:
        InputError: unreadable, of another kind, incomplete, or not belonging together.
    """
    from ..lipforcing.checkpoints import Kind, open_checkpoint
    from ..lipforcing.checkpoints.convert import open_merged
    from ..lipforcing.checkpoints.load import check_complete
    from ..lipforcing.models.config import tiny
    from ..lipforcing.sampling.schedules import TWO_STEP
    from ..lipforcing.stream.family import RELEASED_CROP_SIZE
    from ..lipforcing.tiny import family
    from .host import patchers

    # A teacher merged by others has a student's tensors and says nothing of itself.
    kinds = (Kind.STUDENT,) if causal else (Kind.TEACHER, Kind.STUDENT, Kind.WAN_BASE)
    checkpoint = open_checkpoint(path, *([Kind.WAN_BASE] if adapter else kinds))
    if not causal and checkpoint.own.kind == Kind.STUDENT.value:
        raise InputError(f"{checkpoint.file.label} is {checkpoint.describe()}; load it with the student loader.")
    if checkpoint.kind is Kind.WAN_BASE and adapter is None:
        raise InputError(
            f"{checkpoint.file.label} is {checkpoint.describe()}, which cannot hear; choose {ADAPTER_FILE} (from "
            f"{ADAPTER_URL}) as adapter_name."
        )
    if adapter is not None:
        checkpoint = open_merged(checkpoint, [open_checkpoint(adapter, Kind.ADAPTER)])
    check_complete(checkpoint)
    config = checkpoint.config
    crop_size = family.CROP_SIZE if config == tiny() else RELEASED_CROP_SIZE
    sigmas = checkpoint.schedule or TWO_STEP
    info = patchers.ModelInfo(config, crop_size, sigmas, checkpoint.file.label, causal)
    return patchers.load_model(checkpoint, info, weight_dtype)


class LipForcingTinyVAE(io.ComfyNode):
    """-> VAE: the codec of the tiny family."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingTinyVAE",
            display_name="Lip Forcing Tiny VAE",
            category="lip forcing/loaders",
            description=(
                "The video autoencoder of the tiny model family, which comes with the pack. For the released models "
                "use Load VAE with wan_2.1_vae.safetensors instead."
            ),
            search_aliases=["tiny codec"],
            inputs=[],
            outputs=[io.Vae.Output("tiny_vae", display_name="vae", tooltip="The tiny codec as a VAE.")],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        from ..lipforcing.tiny import family
        from .host import codecs

        return io.NodeOutput(codecs.vae_of(family.load("codec")))
