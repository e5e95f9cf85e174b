"""Everything with weights that a run needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..audio.base import AudioEncoder, Window
from ..audio.wav2vec2_encoder import Wav2Vec2Encoder
from ..checkpoints import Kind, load_module, load_text_embedding, open_checkpoint
from ..codecs.base import VideoCodec
from ..errors import InputError
from ..faces.mesh_detector import LAYOUT
from ..sampling.causal import NetworkStudent, Student
from ..sampling.schedules import TWO_STEP

RELEASED_CROP_SIZE = 512  # pixels; the released models were trained on crops of this size


@dataclass(frozen=True)
class Family:
    """Models that belong together.

    Attributes:
        student: the causal transformer.
        codec: encodes the source's face crops.
        decoder: decodes what the student makes; often a faster codec of the same latent space.
        audio: features of the speech; None where only features are given, not recordings.
        text: embedded prompt [1, text_len, text_dim].
        crop_size: edge of the square face crop in pixels.
        sigmas: noise levels of the sampler, decreasing, ending with 0.
        layout: of the face mesh, for the crop that the student was trained on (``faces.mesh_detector``).
    """

    student: Student
    codec: VideoCodec
    decoder: VideoCodec
    audio: AudioEncoder | None
    text: Tensor
    crop_size: int
    sigmas: tuple[float, ...] = TWO_STEP
    layout: str = LAYOUT

    @classmethod
    def from_files(
        cls,
        student: str | Path,
        codec: str | Path,
        audio_encoder: str | Path,
        text: str | Path,
        decoder: str | Path | None = None,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        audio_window: float | None = None,
    ) -> Family:
        """Load the released weights, or others of their kind.

        Args:
            student: Lip Forcing student; its metadata may carry a schedule.
            codec: Wan 2.1 VAE, which encodes the source.
            audio_encoder: wav2vec2-base-960h.
            text: precomputed UMT5 embedding of the prompt.
            decoder: Wan 2.1 VAE or TAEHV; by default ``codec``.
            device: of everything.
            dtype: of student, codecs and text; by default the student file's (float8: bfloat16). The audio encoder
                works in float32, a TAEHV as ``taehv_dtype`` says.
            audio_window: seconds of audio that are encoded at once, None for all (see ``Wav2Vec2Encoder``).

        Raises:
            InputError: a file is missing, of another kind or incomplete, or two do not belong together.
        """
        network, checkpoint = load_module(student, Kind.STUDENT, device=device, dtype=dtype)
        dtype = next(network.parameters()).dtype
        vae, _ = load_module(codec, Kind.WAN_VAE, device=device, dtype=dtype)
        fast = _load_decoder(decoder, torch.device(device), dtype) if decoder else vae
        listener, _ = load_module(audio_encoder, Kind.WAV2VEC2, device=device, dtype=torch.float32)
        audio = Wav2Vec2Encoder(listener, Window.of_seconds(audio_window) if audio_window else None)
        if audio.feature_dim != network.config.audio_dim:
            raise InputError(
                f"{audio_encoder} gives {audio.feature_dim} numbers per frame, the student {student} takes "
                f"{network.config.audio_dim}; use the audio encoder that it was trained with (wav2vec2-base-960h)."
            )
        prompt = load_text_embedding(text, network.config.text_dim).to(device=device, dtype=dtype)
        if prompt.shape[1] > network.config.text_len:
            raise InputError(
                f"{text} holds {prompt.shape[1]} tokens, {network.config.text_len} fit the student; shorten the prompt."
            )
        return cls(
            NetworkStudent(network), vae, fast, audio, prompt, RELEASED_CROP_SIZE, checkpoint.own.schedule or TWO_STEP
        )

    @property
    def device(self) -> torch.device:
        return self.text.device

    @property
    def dtype(self) -> torch.dtype:
        return self.text.dtype


def taehv_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """The type in which a TAEHV decodes beside a student of ``dtype``: fp16, as the reference, or fp32 on the CPU.

    Pictures in bf16 would be up to 5 of 255 levels off (0.55 on average); in fp16 it is 0.6 (0.07).
    """
    return torch.float32 if device.type == "cpu" or dtype == torch.float32 else torch.float16


def _load_decoder(path: str | Path, device: torch.device, dtype: torch.dtype) -> VideoCodec:
    kinds = Kind.TAEHV, Kind.WAN_VAE
    if open_checkpoint(path, *kinds).kind is Kind.TAEHV:
        dtype = taehv_dtype(device, dtype)
    return load_module(path, *kinds, device=device, dtype=dtype)[0]
