"""Training of the tiny teacher and the tiny student.

The teacher is trained by flow matching over whole windows. The student starts from it and is trained in the very
geometry of inference: chunk after chunk with the rolling cache, first with clean chunks in the cache (diffusion
forcing), then with its own (self forcing, so that it learns to live with what it remembers).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...distill.forcing import diffusion_forcing, self_forcing
from ...faces.mask import latent_mask
from ...models import WanTransformer
from ...models.config import tiny
from ...sampling.causal import CausalStream, NetworkStudent
from ...sampling.flow import forward_process, velocity
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


def mouth_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of latents [..., h, w] that looks mostly at the masked ones."""
    weight = REST_WEIGHT + (MOUTH_WEIGHT - REST_WEIGHT) * latent_mask(*target.shape[-2:])
    return ((prediction.float() - target).square() * weight).mean()


def train_teacher(clips: LatentClips, out: Path) -> WanTransformer:
    """Flow matching of the bidirectional network; time is uniform, shifted towards noise."""
    torch.manual_seed(TEACHER.seed)
    model = initialise(WanTransformer(tiny()))
    generator = torch.Generator().manual_seed(TEACHER.seed)

    def step(i: int) -> dict[str, Tensor]:
        rows = torch.randint(len(clips), (BATCH,), generator=generator)
        x0, inputs = clips.inputs(rows, model.config)
        if i % 3:  # mostly two chunks: half the attention
            x0, inputs = x0[:, :, :SHORT], inputs.span(0, SHORT)
        eps = torch.randn(x0.shape, generator=generator)
        t = T_MAX * shift_time(torch.rand(BATCH, generator=generator))
        at = t[:, None, None, None, None]
        v = model(forward_process(x0, eps, at), t, model.prepare(inputs))
        return {"loss": mouth_loss(v, velocity(x0, eps))}

    return train(model, step, TEACHER, out)


def train_student(clips: LatentClips, teacher: WanTransformer, out: Path) -> WanTransformer:
    """Causal training of a copy of ``teacher`` at the two noise levels of the schedule."""
    model = WanTransformer(teacher.config)
    model.load_state_dict(teacher.state_dict())
    generator = torch.Generator().manual_seed(STUDENT.seed)

    def step(i: int) -> dict[str, Tensor]:
        rows = torch.randint(len(clips), (BATCH,), generator=generator)
        x0, inputs = clips.inputs(rows, model.config)
        exit_step = int(torch.randint(len(TWO_STEP) - 1, (), generator=generator))
        conditioning = model.prepare(inputs)
        chunks = [conditioning.span(CHUNK_LATENTS * c, CHUNK_LATENTS * (c + 1)) for c in range(CHUNKS)]
        clean = x0.split(CHUNK_LATENTS, dim=2)
        noise = torch.randn((CHUNKS, len(TWO_STEP) - 1, *clean[0].shape), generator=generator)
        stream = CausalStream(NetworkStudent(model), x0)
        if i >= SELF_FORCING_FROM * STUDENT.iterations:
            predictions = self_forcing(stream, chunks, noise, TWO_STEP, exit_step)
        else:
            predictions = diffusion_forcing(stream, chunks, clean, noise[:, exit_step], TWO_STEP[exit_step])
        return {"loss": sum(mouth_loss(p, target) for p, target in zip(predictions, clean)) / CHUNKS}

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
