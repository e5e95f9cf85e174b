"""What the network sees beside the noisy latent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

TextKV = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Conditions of a span of ``f`` latent frames (model-and-inference fact sheet, section 1.2).

    Attributes:
        ref_latent: [B, 16, 1, h, w], first latent frame of the unmasked driving clip, repeated over time.
        mouth_mask: [h, w], 1 where the mouth is generated, the same plane on every frame.
        masked_video: [B, 16, f, h, w], latents of the clip with the mouth greyed out.
        ref_sequence: [B, 16, f, h, w], latents of the unmasked clip.
        audio: [B, f, audio_hidden], packed audio (``WanTransformer.embed_audio``).
        text: keys and values of the prompt for every block (``WanTransformer.embed_text``).
    """

    ref_latent: Tensor
    mouth_mask: Tensor
    masked_video: Tensor
    ref_sequence: Tensor
    audio: Tensor
    text: TextKV

    def channels(self) -> Tensor:
        """The 49 conditioning channels [B, 49, f, h, w] in the order of the patch embedding."""
        batch, _, frames, height, width = self.masked_video.shape
        ref = self.ref_latent.expand(-1, -1, frames, -1, -1)
        mask = self.mouth_mask.to(ref.dtype).expand(batch, 1, frames, height, width)
        return torch.cat((ref, mask, self.masked_video, self.ref_sequence), dim=1)

    @classmethod
    def from_channels(cls, channels: Tensor, audio: Tensor, text: TextKV) -> Conditioning:
        """The inverse of ``channels``: conditions of [B, 49, f, h, w], with ``audio`` and ``text`` as above."""
        latent = channels.shape[1] // 3
        reference, mask, masked, sequence = channels.split((latent, 1, latent, latent), dim=1)
        return cls(reference[:, :, :1], mask[0, 0, 0], masked, sequence, audio, text)

    def span(self, start: int, end: int) -> Conditioning:
        """The conditions of latent frames ``start`` to ``end`` (exclusive) of this span."""
        return replace(
            self,
            masked_video=self.masked_video[:, :, start:end],
            ref_sequence=self.ref_sequence[:, :, start:end],
            audio=self.audio[:, start:end],
        )
