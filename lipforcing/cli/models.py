"""The options that name the models of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..errors import InputError

DTYPES = {"auto": None, "bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def add_models(command: argparse.ArgumentParser) -> None:
    """The options --model and those that go with it."""
    command.add_argument("--model", default="tiny", help="tiny, or a student file (default: tiny)")
    command.add_argument("--codec", metavar="FILE", help="Wan 2.1 VAE, for a released student")
    command.add_argument(
        "--decoder", metavar="FILE", help="TAEW 2.1 or another VAE to decode with (default: the codec)"
    )
    command.add_argument("--audio-encoder", metavar="FILE", help="wav2vec2-base-960h, for a released student")
    command.add_argument("--text-embeds", metavar="FILE", help="UMT5 embedding of the prompt, for a released student")
    command.add_argument(
        "--audio-window",
        type=float,
        metavar="SECONDS",
        help="encode this much sound at once, for long recordings (default: everything)",
    )
    command.add_argument("--dtype", choices=DTYPES, default="auto", help="of the released models (default: the file's)")


def add_manner(command: argparse.ArgumentParser) -> None:
    """The options --pauses and --lip-strength."""
    command.add_argument(
        "--pauses",
        choices=("model", "rest", "source"),
        default="model",
        help="the mouth while nobody speaks: what the model makes of the sound, what it makes of silence, or the "
        "source's own (default: model)",
    )
    command.add_argument(
        "--lip-strength",
        type=float,
        default=1.0,
        metavar="0..1.5",
        help="how strongly the speech moves the mouth; 0: a mouth at rest, 1: as trained (default: 1)",
    )


def manner_choice(arguments: argparse.Namespace):
    """How speech moves the mouth, by the options of ``add_manner``."""
    from ..audio.manner import Manner

    return Manner(arguments.pauses, arguments.lip_strength)


def model_files(arguments: argparse.Namespace) -> dict[str, str | Path]:
    """Files of the models that the options name, by what they are for."""
    from ..tiny import family

    given = {
        "student": None if arguments.model == "tiny" else arguments.model,
        "codec": arguments.codec,
        "decoder": arguments.decoder,
        "audio encoder": arguments.audio_encoder,
        "text": arguments.text_embeds,
    }
    embedded = {} if arguments.codec else {part: family.weights_path(part) for part in ("student", "codec")}
    return {**embedded, **{role: path for role, path in given.items() if path}}


def load_family(arguments: argparse.Namespace, device: torch.device):
    """The models that the options name."""
    from ..stream.family import Family
    from ..tiny import family

    parts = {
        "--codec": arguments.codec,
        "--audio-encoder": arguments.audio_encoder,
        "--text-embeds": arguments.text_embeds,
    }
    if not any(parts.values()):
        released = {
            "--decoder": arguments.decoder,
            "--audio-window": arguments.audio_window,
            "--dtype": DTYPES[arguments.dtype],
        }
        if unused := [option for option, value in released.items() if value is not None]:
            raise InputError(f"The tiny model takes no {' and no '.join(unused)}; these are for a released student.")
        return family.tiny_family(device, None if arguments.model == "tiny" else arguments.model)
    if missing := [option for option, path in parts.items() if path is None]:
        raise InputError(f"A released student also needs {' and '.join(missing)}; give these files too.")
    return Family.from_files(
        arguments.model,
        *parts.values(),
        arguments.decoder,
        device=device,
        dtype=DTYPES[arguments.dtype],
        audio_window=arguments.audio_window,
    )
