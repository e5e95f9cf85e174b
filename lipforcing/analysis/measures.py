"""Figures of a clean estimate against the truth, both through the codec."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..audio.base import encode_audio
from ..audio.logmel import LogMelEncoder
from ..codecs.base import VideoCodec, encode
from ..faces.mask import latent_mask, pixel_mask
from ..models import Inputs, WanConfig
from ..models.syncnet import SyncNet
from ..syncnet import score
from ..timeline import CHUNK_LATENTS
from ..tiny import family
from ..tiny.meter import correlation
from .clips import Clip


@dataclass(frozen=True)
class Instruments:
    """Codec and measuring networks of the tiny family."""

    codec: VideoCodec = field(default_factory=lambda: family.load("codec"))
    syncnet: SyncNet = field(default_factory=lambda: family.load("syncnet"))
    meter: nn.Module = field(default_factory=lambda: family.load("meter"))

    def to(self, device: torch.device) -> Instruments:
        """The same on a device."""
        return Instruments(*(tool.to(device) for tool in vars(self).values()))


class Measures:
    """A clip as teacher and instruments take it.

    Args:
        clip: see ``Clip``.
        tools: see ``Instruments``.
    """

    def __init__(self, clip: Clip, tools: Instruments) -> None:
        self.clip, self.tools = clip, tools
        device = next(tools.meter.parameters()).device
        self.mask = pixel_mask(*clip.target.shape[1:3]).bool().to(device)
        target, source = (video(pictures.to(device)) for pictures in (clip.target, clip.source))
        self.truth, self.source = encode(tools.codec, target), encode(tools.codec, source)
        self.masked = encode(tools.codec, target * ~self.mask)
        self.pictures = self.decode(self.truth)
        self.track = self.mouth_track(self.pictures)

    def inputs(self, config: WanConfig) -> Inputs:
        """What the teacher is given; the reference sequence shows the person saying something else."""
        frames, like = len(self.clip.target), self.truth
        audio = encode_audio(LogMelEncoder(), self.clip.waveform, frames)[None, :frames].to(like)
        mask = latent_mask(*like.shape[-2:]).to(like)[None, None, None]
        text = like.new_zeros(1, config.text_len, config.text_dim)
        return Inputs(self.source[:, :, :1], mask, self.masked, self.source, audio, text)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures [T, 3, H, W] in [-1, 1]."""
        stream = self.tools.codec.decode_stream()
        # Chunk by chunk: the features of a whole clip do not fit a processor's cache, which takes half as long again.
        return torch.cat([stream(chunk) for chunk in latents.split(CHUNK_LATENTS, dim=2)], dim=2)[0].transpose(0, 1)

    def mouth_track(self, pictures: Tensor) -> Tensor:
        """Opening, width, rounding, teeth, tongue [T, 5] as the meter reads them off."""
        return self.tools.meter(pictures)

    def __call__(self, pictures: Tensor) -> dict[str, float]:
        """Figures of an estimate's pictures (``decode``).

        ``mouth_error`` stands for the mouth's LPIPS: mean absolute difference inside the mask, of pixels and of the
        differences of neighbouring pixels, in percent of the range. ``landmarks`` is the mean distance of mouth
        tracks, ``opening`` the correlation of openings, ``amplitude`` the share of the truth's spread.
        """
        track = self.mouth_track(pictures)
        sync = score(self.tools.syncnet, levels(pictures), self.clip.waveform).padded
        return {
            "mouth_error": self.mouth_error(pictures),
            "sync_c": sync.confidence,
            "sync_d": sync.distance,
            "opening": correlation(track[:, 0], self.track[:, 0]),
            "amplitude": (track[:, 0].std() / self.track[:, 0].std()).item(),
            "landmarks": (track - self.track).norm(dim=1).mean().item(),
        }

    def mouth_error(self, pictures: Tensor) -> float:
        """See ``__call__``."""
        difference = pictures - self.pictures
        terms = [difference.abs()[..., self.mask].mean()]
        for axis in (-1, -2):
            inside = self.mask.narrow(axis, 1, self.mask.shape[axis] - 1)
            terms.append(difference.diff(dim=axis).abs()[..., inside].mean())
        return 50 * sum(terms).item()

    def moved(self, first: Tensor, second: Tensor) -> dict[str, float]:
        """Mean difference of two estimates' pictures inside and outside the mouth mask, in 8-bit levels."""
        difference = 127.5 * (first - second).abs()
        return {"mouth": difference[..., self.mask].mean().item(), "rest": difference[..., ~self.mask].mean().item()}


def video(pictures: Tensor) -> Tensor:
    """uint8 [T, H, W, 3] to codec pixels [1, 3, T, H, W] in [-1, 1]."""
    return pictures.permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def levels(pictures: Tensor) -> Tensor:
    """Codec pixels [T, 3, H, W] to uint8 [T, H, W, 3]."""
    return ((pictures.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
