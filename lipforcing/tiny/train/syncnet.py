"""Training of the tiny SyncNets."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.syncnet import WINDOW_FRAMES, SyncNet, SyncNetConfig
from ...syncnet.windows import sound_windows, to_pcm16
from .data import SpeechClips
from .loop import Recipe, train

RECIPE = Recipe("syncnet", iterations=700, learning_rate=2e-3, seed=51)
LOGMEL = Recipe("syncnet_logmel", iterations=250, learning_rate=2e-3, seed=52)
BATCH, FRAMES = 6, 33
SHARPNESS = 0.5  # of the softmax over squared distances


def run(clips: SpeechClips, out: Path, recipe: Recipe | None = None, config: SyncNetConfig | None = None) -> SyncNet:
    """Contrastive training: among all windows of a clip, each lip window has to find its own audio and vice versa.

    ``recipe`` and ``config`` are by default those of the first SyncNet.
    """
    recipe, config = recipe or RECIPE, config or SyncNetConfig.tiny()
    torch.manual_seed(recipe.seed)
    model = SyncNet(config)
    size = model.config.image_size
    windows = FRAMES - WINDOW_FRAMES + 1
    last_start = clips.target.shape[1] - FRAMES - 1
    heard = [sound_windows(config.sound, to_pcm16(w), 0, last_start - 1 + windows).float() for w in clips.waveform]
    generator = torch.Generator().manual_seed(recipe.seed)

    def step(_: int) -> dict[str, Tensor]:
        rows = torch.randint(len(clips.target), (BATCH,), generator=generator).tolist()
        starts = torch.randint(last_start, (BATCH,), generator=generator).tolist()
        lips, sounds = [], []
        for row, start in zip(rows, starts):
            frames = clips.target[row, start : start + FRAMES].permute(0, 3, 1, 2).flip(1).float()
            frames = F.interpolate(frames, (size, size), mode="bilinear", antialias=True)
            lips.append(frames.transpose(0, 1))
            sounds.append(heard[row][start : start + windows])
        lip = model.netfclip(model.netcnnlip(torch.stack(lips))[..., 0, 0].transpose(1, 2).flatten(0, 1))
        audio = model.audio(torch.cat(sounds))
        lip, audio = lip.unflatten(0, (BATCH, windows)), audio.unflatten(0, (BATCH, windows))
        logits = -SHARPNESS * torch.cdist(lip, audio).square()
        target = torch.arange(windows).expand(BATCH, windows)
        loss = F.cross_entropy(logits, target) + F.cross_entropy(logits.transpose(1, 2), target)
        hits = (logits.argmax(1) == target).float().mean()
        return {"loss": loss, "hits": hits}

    return train(model, step, recipe, out)
