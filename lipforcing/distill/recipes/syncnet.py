"""Training of the tiny SyncNets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.syncnet import WINDOW_FRAMES, SyncNet, SyncNetConfig
from ...syncnet.windows import sound_windows, to_pcm16
from ..parallel import Network
from ..recipe import Recipe
from ..trainer import Batch
from .data import SPOKEN, SpeechClips, Spoken, speech_clips
from .workshop import Workshop, seeded


@dataclass(frozen=True)
class SyncNetRecipe(Recipe):
    """Further settings of SyncNet's training.

    Attributes:
        frames: length of a sample.
        sharpness: of the softmax over squared distances.
        spoken: clips that it learns from.
        hears: log-mel bands ("logmel") instead of MFCC ("mfcc").
    """

    frames: int = 33
    sharpness: float = 0.5
    spoken: Spoken = SPOKEN
    hears: Literal["mfcc", "logmel"] = "mfcc"


RECIPE = SyncNetRecipe("syncnet", iterations=700, learning_rate=2e-3, seed=51, batch=6)
# Other ears, other people and other speech: an opinion of its own.
LOGMEL = replace(
    RECIPE, name="syncnet_logmel", iterations=250, seed=52, spoken=replace(SPOKEN, seed=22, count=200), hears="logmel"
)
CONFIGS = {"mfcc": SyncNetConfig.tiny, "logmel": SyncNetConfig.tiny_logmel}


class SyncNetTask:
    """Contrastive: among all windows of a clip, each lip window has to find its own audio and vice versa."""

    def __init__(self, recipe: SyncNetRecipe, workshop: Workshop) -> None:
        self.recipe, self.workshop = recipe, workshop
        self.config = CONFIGS[recipe.hears]()
        self.made_of = recipe.spoken.what()
        self.networks = {"syncnet": Network(lambda: SyncNet(self.config), self.first_weights)}

    @cached_property
    def clips(self) -> SpeechClips:
        return speech_clips(self.recipe.spoken, self.workshop.data)

    @cached_property
    def heard(self) -> list[Tensor]:
        """Windows of the sound of every clip, see ``sound_windows``."""
        count = self.last_start - 1 + self.windows
        return [sound_windows(self.config.sound, to_pcm16(w), 0, count).float() for w in self.clips.waveform]

    @property
    def last_start(self) -> int:
        return self.clips.target.shape[1] - self.recipe.frames - 1

    @property
    def windows(self) -> int:
        """Windows of a sample."""
        return self.recipe.frames - WINDOW_FRAMES + 1

    def first_weights(self) -> Mapping[str, Tensor]:
        with seeded(self.recipe.seed):
            return SyncNet(self.config).state_dict()

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Which clips, and from which frame on."""
        size = (self.recipe.batch,)
        rows = torch.randint(len(self.clips.target), size, generator=generator)
        return {"rows": rows, "starts": torch.randint(self.last_start, size, generator=generator)}

    def losses(
        self, step: int, batch: Batch, models: Mapping[str, nn.Module]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        model, device = models["syncnet"], batch["rows"].device
        lips, sounds = [], []
        for row, start in zip(batch["rows"].tolist(), batch["starts"].tolist()):
            frames = self.clips.target[row, start : start + self.recipe.frames].permute(0, 3, 1, 2).flip(1).float()
            size = (self.config.image_size, self.config.image_size)
            lips.append(F.interpolate(frames, size, mode="bilinear", antialias=True).transpose(0, 1))
            sounds.append(self.heard[row][start : start + self.windows])
        lip = model.netcnnlip(torch.stack(lips).to(device))[..., 0, 0].transpose(1, 2)
        lip = model.netfclip(lip.flatten(0, 1)).unflatten(0, (len(lips), self.windows))
        audio = model.audio(torch.cat(sounds).to(device)).unflatten(0, (len(lips), self.windows))
        logits = -self.recipe.sharpness * torch.cdist(lip, audio).square()
        target = torch.arange(self.windows, device=device).expand(len(lips), -1)
        loss = F.cross_entropy(logits, target) + F.cross_entropy(logits.transpose(1, 2), target)
        yield "syncnet", {"loss": loss, "hits": (logits.argmax(1) == target).float().mean()}
