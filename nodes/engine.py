"""From what is connected to a node to the engine's family."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..lipforcing.errors import InputError
from . import needs
from .conditioning import prompt_of
from .speech import encoder_of, find_encoder

if TYPE_CHECKING:
    from ..lipforcing.audio.base import AudioFeatures
    from ..lipforcing.models import WanConfig
    from ..lipforcing.stream.family import Family
    from .family import Parts


@contextlib.contextmanager
def running_family(parts: Parts, sigmas=None, window_seconds: float | None = None) -> Iterator[Family]:
    """The engine's `Family` over the host's values.

    Without a model, model and codec are those of the tiny family; without a prompt it is the saved one, without sigmas
    the schedule is the student's own. Weights are loaded when first used.

    Args:
        parts: what is connected.
        sigmas: SIGMAS.
        window_seconds: see `inputs.window_seconds`; None where features are given, so that no audio encoder is needed.

    Raises:
        InputError: something that does not fit the student; names the input.
    """
    from ..lipforcing.faces.mesh_detector import DRAWN_LAYOUT, LAYOUT
    from ..lipforcing.sampling.schedules import check_schedule
    from ..lipforcing.stream.family import Family
    from ..lipforcing.tiny import family
    from .host import codecs, patchers

    model, vae, decoder = parts.model, parts.vae, parts.decoder
    if model is None:
        model = tiny_student()
    info = patchers.model_info(model, "a Lip Forcing student")
    tiny = info.crop_size == family.CROP_SIZE
    if vae is None:
        if not tiny:
            raise needs.lacks(info.name, [needs.vae()])
        vae = codecs.vae_of(family.load("codec"))
    codec = codecs.codec_of(vae)
    decoder = codec if decoder is None else codecs.codec_of(decoder)
    for name, part in (("vae", codec), ("decoder", decoder)):
        if part.crop_size != info.crop_size:
            needed = "Lip Forcing Tiny VAE" if tiny else "wan_2.1_vae.safetensors or taew2_1.safetensors"
            raise InputError(f"The {name} input does not fit the student {info.name}; connect {needed}.")
    schedule = info.sigmas if sigmas is None else check_schedule(sigmas.tolist(), "The sigmas input does not fit")
    audio = None
    if window_seconds is not None:
        audio = encoder_of(find_encoder(parts.audio_encoder, info), window_seconds)
        if audio.feature_dim != info.config.audio_dim:
            needed = "nothing" if tiny else "wav2vec2-base-960h (Load Audio Encoder)"
            raise InputError(f"The audio_encoder input does not fit the student {info.name}; connect {needed}.")
    with patchers.RunningStudent(model, {codec, decoder}) as student:
        text = prompt_of(parts.positive, info.config).to(student.device, student.dtype)
        layout = DRAWN_LAYOUT if tiny else LAYOUT
        yield Family(student, codec, decoder, audio, text, info.crop_size, schedule, layout)


def tiny_student():
    """The tiny student as MODEL."""
    from ..lipforcing.tiny import family
    from .loaders import load_transformer

    return load_transformer(family.weights_path("student"), "default", causal=True)


def check_speech(features: AudioFeatures, config: WanConfig) -> None:
    """Raise InputError unless a model of `config` understands the features of a speech."""
    width = features.features.shape[1]
    if width != config.audio_dim:
        needed = "nothing" if config.text_len == 1 else "wav2vec2-base-960h (Load Audio Encoder)"
        raise InputError(
            f"The speech was encoded with {width} numbers per frame, the model takes {config.audio_dim}; connect "
            f"{needed} to audio_encoder of Lip Forcing Audio Encode."
        )
