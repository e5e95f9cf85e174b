"""What a network sees beside the noisy latent (docs/model.md, Input channels)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..timeline import latent_frames_span
from .window import KeysValues


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs of a span of ``f`` latent frames: data, the same for teacher, critic and student.

    The negative side of guidance is ``replace(inputs, audio=torch.zeros_like(inputs.audio), text=empty_prompt)``.

    Attributes:
        ref_latent: [B, 16, 1, h, w], first latent frame of the unmasked driving clip, repeated over time.
        mouth_mask: [B, 1, 1, h, w], 1 where the mouth is generated, the same plane on every frame.
        masked_video: [B, 16, f, h, w], latents of the clip with the mouth greyed out.
        ref_sequence: [B, 16, f, h, w], latents of the unmasked clip.
        audio: audio features, one row per video frame: [B, 4 f - 3, audio_dim] from the start of a clip (latent frame
            0 covers one video frame), [B, 4 f, audio_dim] later.
        text: embedded prompt [B, n, text_dim], n <= text_len; positions that are not given are zeros.
    """

    ref_latent: Tensor
    mouth_mask: Tensor
    masked_video: Tensor
    ref_sequence: Tensor
    audio: Tensor
    text: Tensor

    @classmethod
    def from_channels(cls, channels: Tensor, audio: Tensor, text: Tensor) -> Inputs:
        """From the conditioning channels [B, 49, f, h, w] (``planes``), audio features and prompt."""
        latent = channels.shape[1] // 3
        reference, mask, masked, sequence = channels.split((latent, 1, latent, latent), dim=1)
        return cls(reference[:, :, :1], mask[:, :, :1], masked, sequence, audio, text)

    def planes(self) -> Tensor:
        """The conditioning channels [B, 49, f, h, w] in the order of the patch embedding."""
        return planes(self.ref_latent, self.mouth_mask, self.masked_video, self.ref_sequence)

    def span(self, start: int, end: int) -> Inputs:
        """The inputs of latent frames ``start`` to ``end`` (exclusive) of a clip that begins with this span."""
        rows = slice(latent_frames_span(start)[0], latent_frames_span(end - 1)[1])
        return replace(
            self,
            masked_video=self.masked_video[:, :, start:end],
            ref_sequence=self.ref_sequence[:, :, start:end],
            audio=self.audio[:, rows],
        )


def planes(ref_latent: Tensor, mouth_mask: Tensor, masked_video: Tensor, ref_sequence: Tensor) -> Tensor:
    """The conditioning channels [B, 49, f, h, w] of a span; arguments as in ``Inputs``."""
    frames = (-1, -1, masked_video.shape[2], -1, -1)
    return torch.cat((ref_latent.expand(frames), mouth_mask.expand(frames), masked_video, ref_sequence), dim=1)


@dataclass(frozen=True, eq=False)
class Text:
    """A prompt as the cross-attention of one network sees it; constant for a run.

    Attributes:
        layers: per block keys and values [B, n, heads, head_dim].
        bias: [n], added to the scores, or None: the logarithm of how many positions each one stands for.
    """

    layers: tuple[KeysValues, ...]
    bias: Tensor | None = None

    def layer(self, index: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys, values and bias of one block."""
        return (*self.layers[index], self.bias)


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Inputs of a span as one network takes them (``WanTransformer.prepare``).

    Attributes:
        planes: conditioning channels [B, 49, f, h, w].
        audio: packed audio [B, f, audio_hidden].
        text: keys and values of the prompt.
    """

    planes: Tensor
    audio: Tensor
    text: Text

    def span(self, start: int, end: int) -> Conditioning:
        """Latent frames ``start`` to ``end`` (exclusive) of this span."""
        return replace(self, planes=self.planes[:, :, start:end], audio=self.audio[:, start:end])


def join(first: Conditioning, second: Conditioning) -> Conditioning:
    """Two spans of one clip, one after the other."""
    planes = torch.cat((first.planes, second.planes), dim=2)
    return Conditioning(planes, torch.cat((first.audio, second.audio), dim=1), first.text)
