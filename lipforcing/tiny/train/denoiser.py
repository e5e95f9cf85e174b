"""Training of the tiny teacher and the tiny student.

The teacher is trained by flow matching over whole windows. The student starts from it and is trained in the very
geometry of inference: chunk after chunk with the rolling cache, first with clean chunks in the cache (diffusion
forcing), then with its own (self forcing, so that it learns to live with what it remembers).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...models import RollingKVCache, WanTransformer
from ...models.config import tiny
from ...sampling.flow import forward_process, velocity, velocity_to_x0
from ...sampling.schedules import T_MAX, TWO_STEP, shift_time
from ...timeline import CHUNK_LATENTS
from .latents import CHUNKS, LatentClips
from .loop import Recipe, train

TEACHER = Recipe("teacher", iterations=900, learning_rate=4e-3, seed=31)
STUDENT = Recipe("student", iterations=900, learning_rate=3e-3, seed=32)
SELF_FORCING_FROM = 0.4  # of the student's training
BATCH = 8
SHORT = 2 * CHUNK_LATENTS
MOUTH_WEIGHT, REST_WEIGHT = 3.0, 0.3  # the rest is nearly given by the masked video


def mouth_loss(prediction: Tensor, target: Tensor, mouth_mask: Tensor) -> Tensor:
    """Mean squared error that looks mostly at the masked latents."""
    weight = REST_WEIGHT + (MOUTH_WEIGHT - REST_WEIGHT) * mouth_mask
    return ((prediction.float() - target).square() * weight).mean()


def train_teacher(clips: LatentClips, out: Path) -> WanTransformer:
    """Flow matching of the bidirectional network; time is uniform, shifted towards noise."""
    torch.manual_seed(TEACHER.seed)
    model = initialise(WanTransformer(tiny()))
    generator = torch.Generator().manual_seed(TEACHER.seed)

    def step(i: int) -> dict[str, Tensor]:
        rows = torch.randint(len(clips), (BATCH,), generator=generator)
        x0, conditioning = clips.conditioning(rows, model)
        if i % 3:  # mostly two chunks: half the attention
            x0, conditioning = x0[:, :, :SHORT], conditioning.span(0, SHORT)
        eps = torch.randn(x0.shape, generator=generator)
        t = T_MAX * shift_time(torch.rand(BATCH, generator=generator))
        at = t[:, None, None, None, None]
        v = model(forward_process(x0, eps, at), t, conditioning)
        error = mouth_loss(v, velocity(x0, eps), conditioning.mouth_mask)
        return {"loss": error}

    return train(model, step, TEACHER, out)


def train_student(clips: LatentClips, teacher: WanTransformer, out: Path) -> WanTransformer:
    """Causal training of a copy of ``teacher`` at the two noise levels of the schedule."""
    model = WanTransformer(teacher.config)
    model.load_state_dict(teacher.state_dict())
    generator = torch.Generator().manual_seed(STUDENT.seed)
    high, low, _ = TWO_STEP

    def predict(x_t: Tensor, t: float, chunk, cache: RollingKVCache) -> Tensor:
        v = model.forward_chunk(x_t, torch.full((BATCH,), t, dtype=torch.float64), chunk, cache)
        return velocity_to_x0(x_t, v.float(), t)

    def noise(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator)

    def step(i: int) -> dict[str, Tensor]:
        self_forcing = i >= SELF_FORCING_FROM * STUDENT.iterations
        rows = torch.randint(len(clips), (BATCH,), generator=generator)
        x0, conditioning = clips.conditioning(rows, model)
        tokens = x0.shape[-2] * x0.shape[-1] // 4
        cache = RollingKVCache(model.config, BATCH, tokens, device=x0.device, dtype=x0.dtype)
        stop_early = bool(torch.rand((), generator=generator) < 0.5)  # train the first or the second step
        total = x0.new_zeros(())
        for c in range(CHUNKS):
            span = CHUNK_LATENTS * c, CHUNK_LATENTS * (c + 1)
            chunk, clean = conditioning.span(*span), x0[:, :, slice(*span)]
            x_t = noise(clean)
            if not stop_early:
                with torch.no_grad():
                    guess = predict(x_t, high, chunk, cache) if self_forcing else clean
                x_t = forward_process(guess, noise(clean), low)
            prediction = predict(x_t, high if stop_early else low, chunk, cache)
            total = total + mouth_loss(prediction, clean, conditioning.mouth_mask) / CHUNKS
            if c + 1 < CHUNKS:
                with torch.no_grad():
                    model.remember(prediction.detach() if self_forcing else clean, chunk, cache)
        return {"loss": total}

    return train(model, step, STUDENT, out)


def initialise(model: WanTransformer) -> WanTransformer:
    """Weights of an untrained network: gates and output start at zero, so every block starts as the identity."""
    for block in model.blocks:
        torch.nn.init.zeros_(block.modulation)
    torch.nn.init.zeros_(model.head.head.weight)
    torch.nn.init.zeros_(model.head.head.bias)
    torch.nn.init.zeros_(model.head.modulation)
    torch.nn.init.normal_(model.time_projection[1].weight, std=0.02)
    torch.nn.init.zeros_(model.time_projection[1].bias)
    return model
