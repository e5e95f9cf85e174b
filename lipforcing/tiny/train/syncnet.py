"""Training of the tiny SyncNet."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...audio.mfcc import mfcc
from ...models.syncnet import WINDOW_CEPSTRA, WINDOW_FRAMES, SyncNet, SyncNetConfig
from ...syncnet.windows import CEPSTRA_PER_FRAME, to_pcm16
from ...timeline import SAMPLE_RATE
from .data import SpeechClips
from .loop import Recipe, train

RECIPE = Recipe("syncnet", iterations=700, learning_rate=2e-3, seed=51)
BATCH, FRAMES = 6, 33
SHARPNESS = 0.5  # of the softmax over squared distances


def run(clips: SpeechClips, out: Path) -> SyncNet:
    """Contrastive training: among all windows of a clip, each lip window has to find its own audio and vice versa."""
    torch.manual_seed(RECIPE.seed)
    model = SyncNet(SyncNetConfig.tiny())
    size = model.config.image_size
    windows = FRAMES - WINDOW_FRAMES + 1
    cepstra = torch.stack([mfcc(to_pcm16(w), SAMPLE_RATE).float().T for w in clips.waveform])
    generator = torch.Generator().manual_seed(RECIPE.seed)
    last_start = clips.target.shape[1] - FRAMES - 1

    def step(_: int) -> dict[str, Tensor]:
        rows = torch.randint(len(clips.target), (BATCH,), generator=generator).tolist()
        starts = torch.randint(last_start, (BATCH,), generator=generator).tolist()
        lips, sounds = [], []
        for row, start in zip(rows, starts):
            frames = clips.target[row, start : start + FRAMES].permute(0, 3, 1, 2).flip(1).float()
            frames = F.interpolate(frames, (size, size), mode="bilinear", antialias=True)
            lips.append(frames.transpose(0, 1))
            heard = cepstra[row].unfold(1, WINDOW_CEPSTRA[1], CEPSTRA_PER_FRAME)[:, start : start + windows]
            sounds.append(heard.transpose(0, 1)[:, None])
        lip = model.netfclip(model.netcnnlip(torch.stack(lips))[..., 0, 0].transpose(1, 2).flatten(0, 1))
        audio = model.audio(torch.cat(sounds))
        lip, audio = lip.unflatten(0, (BATCH, windows)), audio.unflatten(0, (BATCH, windows))
        logits = -SHARPNESS * torch.cdist(lip, audio).square()
        target = torch.arange(windows).expand(BATCH, windows)
        loss = F.cross_entropy(logits, target) + F.cross_entropy(logits.transpose(1, 2), target)
        hits = (logits.argmax(1) == target).float().mean()
        return {"loss": loss, "hits": hits}

    return train(model, step, RECIPE, out)
