"""SyncNet v2: two small convolutional networks that put lips and speech into one space.

The public ``syncnet_v2.model`` (docs/model.md, SyncNet). Indices inside the sequential modules are part of the
checkpoint's key names.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import torch
from torch import nn

WINDOW_FRAMES = 5  # video frames that one embedding sees
WINDOW_HOPS = 20  # steps of 10 ms that one embedding hears

Sound = Literal["mfcc", "logmel"]
SOUND_ROWS: dict[Sound, int] = {"mfcc": 13, "logmel": 32}  # values of one step: cepstra, or mel bands


@dataclass(frozen=True)
class SyncNetConfig:
    """Sizes of a SyncNet, and the crop it was trained on.

    Attributes:
        image_size: height and width in pixels of the lip network's input.
        lip_channels: channels after each of its six convolutions; the last equals the width of its head.
        audio_channels: the same for the audio network.
        embedding: length of the embeddings.
        aligned: whether it was trained on the pipeline's aligned face crop, not on the square around the face.
        clear: the least Sync-C of clear sync over a single window; over N it is this by the root of N. None where
            nobody has measured it.
        sound: what its audio network hears: cepstra as the published one does, or log-mel bands.
    """

    image_size: int
    lip_channels: tuple[int, int, int, int, int, int]
    audio_channels: tuple[int, int, int, int, int, int]
    embedding: int
    aligned: bool = False
    clear: float | None = None
    sound: Sound = "mfcc"

    @classmethod
    def v2(cls) -> SyncNetConfig:
        """The published network: 13.6 M parameters, 224 px."""
        return cls(224, (96, 256, 256, 256, 256, 512), (64, 192, 384, 256, 256, 512), 1024)

    @classmethod
    def tiny(cls) -> SyncNetConfig:
        """The one of the tiny model family: 0.5 M parameters, 96 px; ``clear`` by benchmarks/sync_threshold.py."""
        return cls(96, (24, 48, 64, 64, 64, 128), (16, 32, 64, 64, 64, 128), 128, aligned=True, clear=7.0)

    @classmethod
    def tiny_logmel(cls) -> SyncNetConfig:
        """A second opinion beside it: another front end, other sizes, other people and another seed in training."""
        return cls(64, (16, 32, 48, 48, 64, 96), (16, 32, 48, 48, 64, 96), 96, aligned=True, sound="logmel")


class SyncNet(nn.Module):
    """Lip and audio towers with a head each.

    Args:
        config: sizes.
        operations: namespace with Conv2d, Conv3d and Linear, by default ``torch.nn``. Batch norms are always
            torch's: hosts' namespaces have none.
        device, dtype: passed through to every layer.
    """

    def __init__(
        self,
        config: SyncNetConfig,
        operations: ModuleType = nn,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        place = {"device": device, "dtype": dtype}
        self.netcnnaud = _audio_tower(config, operations, place)
        self.netfcaud = _head(config.audio_channels[-1], config.embedding, operations, place)
        self.netcnnlip = _lip_tower(config, operations, place)
        self.netfclip = _head(config.lip_channels[-1], config.embedding, operations, place)

    def lip(self, frames: torch.Tensor) -> torch.Tensor:
        """Embed five-frame windows [N, 3, 5, H, W] (BGR, 0 to 255, image_size square) into [N, embedding]."""
        return self.netfclip(self.netcnnlip(frames).flatten(1))

    def lip_track(self, frames: torch.Tensor) -> torch.Tensor:
        """Embed every five-frame window of one clip [3, T, H, W] (BGR, 0 to 255) into [T - 4, embedding].

        Only the first layer looks along time, so one pass over the clip gives what ``lip`` gives for its
        windows without holding each frame five times.
        """
        return self.netfclip(self.netcnnlip(frames[None])[0, :, :, 0, 0].T)

    def audio(self, windows: torch.Tensor) -> torch.Tensor:
        """Embed windows of sound [N, 1, R, 20] (cepstra or bands x steps of 10 ms) into [N, embedding]."""
        return self.netfcaud(self.netcnnaud(windows).flatten(1))


def _audio_tower(config: SyncNetConfig, operations: ModuleType, place: dict) -> nn.Sequential:
    channels = (1, *config.audio_channels)

    def conv(layer: int, kernel: int | tuple[int, int], padding: int) -> list[nn.Module]:
        width = channels[layer + 1]
        return [
            operations.Conv2d(channels[layer], width, kernel, padding=padding, **place),
            nn.BatchNorm2d(width, **place),
            nn.ReLU(inplace=True),
        ]

    return nn.Sequential(
        *conv(0, 3, 1),
        nn.MaxPool2d(1, 1),
        *conv(1, 3, 1),
        nn.MaxPool2d(3, (1, 2)),
        *conv(2, 3, 1),
        *conv(3, 3, 1),
        *conv(4, 3, 1),
        nn.MaxPool2d(3, 2),
        *conv(5, ((SOUND_ROWS[config.sound] - 3) // 2, 4), 0),  # all that is left of the window
    )


def _lip_tower(config: SyncNetConfig, operations: ModuleType, place: dict) -> nn.Sequential:
    channels = (3, *config.lip_channels)

    def conv(layer: int, kernel: tuple[int, ...], stride: int = 1, padding: int = 0) -> list[nn.Module]:
        width = channels[layer + 1]
        return [
            operations.Conv3d(
                channels[layer],
                width,
                kernel,
                stride=(1, stride, stride),
                padding=(0, padding, padding),
                **place,
            ),
            nn.BatchNorm3d(width, **place),
            nn.ReLU(inplace=True),
        ]

    rest = _lip_grid(config.image_size)
    return nn.Sequential(
        *conv(0, (WINDOW_FRAMES, 7, 7), stride=2),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *conv(1, (1, 5, 5), stride=2, padding=1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *conv(2, (1, 3, 3), padding=1),
        *conv(3, (1, 3, 3), padding=1),
        *conv(4, (1, 3, 3), padding=1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *conv(5, (1, rest, rest)),
    )


def _lip_grid(image_size: int) -> int:
    """Height of the lip tower's map before its last convolution, which covers all of it: 6 for 224 px."""
    size = image_size
    for kernel, padding in ((7, 0), (3, 0), (5, 1), (3, 1), (3, 0)):
        size = (size + 2 * padding - kernel) // 2 + 1
    return size


def _head(width: int, embedding: int, operations: ModuleType, place: dict) -> nn.Sequential:
    return nn.Sequential(
        operations.Linear(width, width, **place),
        nn.BatchNorm1d(width, **place),
        nn.ReLU(),
        operations.Linear(width, embedding, **place),
    )
