"""Text, face and speech as the host's CONDITIONING carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lipforcing.errors import InputError
from . import host
from .needs import PROMPT_FILE, PROMPTS, lacks, prompt

if TYPE_CHECKING:
    from torch import Tensor

    from ..lipforcing.models import WanConfig

CHANNELS = "lipforcing_channels"  # keys that LipForcingConditioning adds to the entries
AUDIO = "lipforcing_audio"


def prompt_for(config: WanConfig, text: Tensor) -> Tensor:
    """The host's text embedding [B, n, text_dim] as the network takes it: [B, text_len, text_dim], zeros at the end.

    A model without a text encoder (one text position) gets its constant zeros whatever the prompt.

    Raises:
        InputError: an embedding of another text encoder, or one that is too long.
    """
    import torch.nn.functional as F

    if config.text_len == 1:
        return text.new_zeros(text.shape[0], 1, config.text_dim)
    if text.shape[-1] != config.text_dim:
        raise InputError(
            f"The prompt was encoded with {text.shape[-1]} numbers per token, the model takes {config.text_dim}; load "
            "umt5_xxl_fp8_e4m3fn_scaled.safetensors with Load CLIP, type wan."
        )
    if text.shape[1] > config.text_len:
        raise InputError(f"The prompt has {text.shape[1]} tokens, at most {config.text_len} fit; shorten it.")
    return F.pad(text, (0, 0, 0, config.text_len - text.shape[1]))


def prompt_of(conditioning: list | None, config: WanConfig) -> Tensor:
    """The prompt of a CONDITIONING, or the saved one, as the network takes it: [1, text_len, text_dim].

    Raises:
        InputError: the model needs a prompt and there is none, or see `prompt_for`.
    """
    import torch

    from ..lipforcing.checkpoints.load import load_text_embedding

    if conditioning is not None:
        return prompt_for(config, conditioning[0][0])
    if config.text_len == 1:
        return torch.zeros(1, config.text_len, config.text_dim)
    saved = host.model_path(PROMPTS, PROMPT_FILE)
    if saved is None:
        raise lacks("The model", [prompt()])
    return prompt_for(config, load_text_embedding(saved, config.text_dim))


def with_face(conditioning: list | None, channels: Tensor, audio: Tensor) -> list:
    """CONDITIONING with the teacher's face and speech added to each entry; None counts as one without a prompt."""
    entries = [[channels.new_zeros(1, 1, 1), {}]] if conditioning is None else conditioning
    return [[text, {**options, CHANNELS: channels, AUDIO: audio}] for text, options in entries]
