"""Sliding windows over a clip and their SyncNet embeddings.

Window i sees video frames i ... i + 4 and hears steps 4 i ... 4 i + 19 of 10 ms (docs/model.md, SyncNet).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..audio.logmel import BANDS, OVERHANG, LogMelEncoder
from ..audio.mfcc import mfcc
from ..models.syncnet import WINDOW_FRAMES, WINDOW_HOPS, Sound, SyncNet
from ..timeline import SAMPLES_PER_FRAME

HOPS_PER_FRAME = 4
CEPSTRA_HOP = SAMPLES_PER_FRAME // HOPS_PER_FRAME
CEPSTRA_WINDOW = 400


def to_pcm16(waveform: torch.Tensor) -> torch.Tensor:
    """Mono [samples] in [-1, 1] as the 16-bit integers that a wav file would hold."""
    return (waveform.float() * 32768).round().clamp(-32768, 32767).to(torch.int16)


def prepare_crops(crops: torch.Tensor, image_size: int) -> torch.Tensor:
    """Face crops uint8 [T, H, W, 3] RGB as the lip network takes them: float32 [3, T, S, S] BGR, 0 to 255.

    Other sizes are resized bilinearly without antialiasing, like the reference's crops.
    """
    frames = crops.permute(0, 3, 1, 2).flip(1).float()
    if frames.shape[-2:] != (image_size, image_size):
        frames = F.interpolate(frames, (image_size, image_size), mode="bilinear", align_corners=False)
    return frames.transpose(0, 1)


class LipTrack:
    """Lip embeddings of one clip whose crops come piece by piece.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: SyncNet) -> None:
        self._model = model
        self._carried: torch.Tensor | None = None  # the last frames, which the next windows begin with

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        """Embeddings [k, E] of the windows that crops uint8 [T, H, W, 3] RGB complete, k = 0 included."""
        weight = next(self._model.parameters())
        frames = prepare_crops(crops.to(weight.device), self._model.config.image_size).to(weight.dtype)
        frames = frames if self._carried is None else torch.cat([self._carried, frames], dim=1)
        self._carried = frames[:, -(WINDOW_FRAMES - 1) :]
        if frames.shape[1] < WINDOW_FRAMES:
            return frames.new_zeros(0, self._model.config.embedding)
        return self._model.lip_track(frames)


class AudioTrack:
    """Audio embeddings of a recording, computed on demand.

    Args:
        model: in evaluation mode.
        pcm: mono int16 [samples] at 16 kHz.
    """

    def __init__(self, model: SyncNet, pcm: torch.Tensor) -> None:
        self.model = model
        self.pcm = pcm
        # One window fewer than fits: the reference never uses the last one.
        self.windows = max(0, len(pcm) // SAMPLES_PER_FRAME - WINDOW_FRAMES)

    def embeddings(self, first: int, end: int) -> torch.Tensor:
        """Embeddings [end - first, E] of windows first ... end - 1, all below ``windows``."""
        weight = next(self.model.parameters())
        windows = sound_windows(self.model.config.sound, self.pcm, first, end)
        return self.model.audio(windows.to(weight.device, weight.dtype))


def sound_windows(sound: Sound, pcm: torch.Tensor, first: int, end: int) -> torch.Tensor:
    """What the audio network hears of windows first ... end - 1 of a recording: [end - first, 1, R, 20].

    Cepstra are those of 16-bit integers, log-mel bands those that the tiny family's student hears.

    Args:
        sound: which of them.
        pcm: mono int16 [samples] at 16 kHz; the windows lie inside of it.
    """
    hops = HOPS_PER_FRAME * (end - first - 1) + WINDOW_HOPS
    start = first * SAMPLES_PER_FRAME
    if sound == "mfcc":
        samples = pcm[start : start + CEPSTRA_HOP * (hops - 1) + CEPSTRA_WINDOW]
        rows = mfcc(samples, previous=float(pcm[start - 1]) if start else 0.0)
    else:
        stop = start + CEPSTRA_HOP * hops
        samples = F.pad(pcm[max(0, start - OVERHANG) : stop + OVERHANG].float() / 32768, (max(0, OVERHANG - start), 0))
        missing = stop - start + 2 * OVERHANG - len(samples)  # beyond the end
        rows = LogMelEncoder().hops(F.pad(samples, (0, missing))).view(-1, BANDS)
    return rows.unfold(0, WINDOW_HOPS, HOPS_PER_FRAME)[:, None]
