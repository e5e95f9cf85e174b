"""Training of the tiny teacher and the tiny student.

The teacher is trained by flow matching over whole windows. The student starts from it and is trained in the very
geometry of inference: chunk after chunk with the rolling cache, first with clean chunks in the cache (diffusion
forcing), then with its own (self forcing, so that it learns to live with what it remembers).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from ...codecs.base import decode
from ...faces.mask import latent_mask, pixel_mask
from ...models import Conditioning, Inputs, WanTransformer
from ...models.config import tiny
from ...sampling.causal import CausalStream, NetworkStudent
from ...sampling.flow import forward_process, velocity
from ...sampling.guidance import Teacher, sample_euler
from ...sampling.schedules import T_MAX, TWO_STEP, shift_time, teacher_grid
from ...timeline import CHUNK_LATENTS
from ...tiny import family
from ...tiny.meter import correlation
from ..cache import weights_hash
from ..forcing import diffusion_forcing, self_forcing
from ..lora import adapt
from ..parallel import Network, rank
from ..recipe import Recipe
from ..trainer import Batch
from ..validation import levels, means, mouth_figures, write_video
from .data import SIZE, SPOKEN, UNSEEN, VARIED, Spoken, pixels, random_faces
from .latents import LatentClips, Shown, latent_clips, latent_origin, unseen_clips
from .rebase import latent_map, rebased
from .samples import PreparedSamples
from .workshop import Workshop, seeded

SHORT = 2 * CHUNK_LATENTS
VALIDATION_STEPS = 10
REBASE_PEOPLE = 16
MOUTH_WEIGHT, REST_WEIGHT = 3.0, 0.3  # the rest is nearly given by the masked video


@dataclass(frozen=True)
class DenoiserRecipe(Recipe):
    """Further settings of both trainings.

    Attributes:
        spoken: drawn clips that it learns from.
        samples: prepared samples that it learns from instead, see ``PreparedSamples.listed``.
        go_on: start from the network that comes with the package, taken to the latents of the workshop's codec
            (``rebase``).
        lora_rank: of adapters that learn in the place of the whole network (see ``lora``); 0 is the whole network. A
            teacher with adapters starts from the one that comes with the package.
    """

    spoken: Spoken = SPOKEN
    samples: str = ""
    go_on: bool = False
    lora_rank: int = 0


@dataclass(frozen=True)
class TeacherRecipe(DenoiserRecipe):
    """Further settings of the teacher's training.

    Attributes:
        audio_drop: share of samples whose audio is replaced by zeros, so that guidance means something.
    """

    audio_drop: float = 0.0


@dataclass(frozen=True)
class StudentRecipe(DenoiserRecipe):
    """Further settings of the student's training.

    Attributes:
        self_forcing_from: share of the steps after which its own chunks take the place of real ones in the cache.
    """

    self_forcing_from: float = 0.4


# From the start, on English.
TEACHER = TeacherRecipe("teacher", iterations=900, learning_rate=4e-3, seed=31, batch=8, validate_every=500)
STUDENT = StudentRecipe("student", iterations=900, learning_rate=3e-3, seed=32, batch=8, validate_every=500)

# On speech of many languages, with audio that is left out at times, and longer.
TEACHER_VARIED = replace(TEACHER, iterations=2400, ema_decay=0.999, validate_every=400, audio_drop=0.1, spoken=VARIED)
STUDENT_VARIED = replace(STUDENT, iterations=1200, validate_every=400, spoken=VARIED)

# The same, from the package's networks and for a new codec: minutes instead of hours.
FURTHER = {"learning_rate": 2e-3, "ema_decay": 0.99, "validate_every": 0, "go_on": True}
TEACHER_FURTHER = replace(TEACHER_VARIED, iterations=900, **FURTHER)
STUDENT_FURTHER = replace(STUDENT_VARIED, iterations=600, **FURTHER)

# From there for long, on a GPU: larger batches, three times the clips.
TEACHER_LONG = replace(
    TEACHER_FURTHER,
    iterations=3707,
    learning_rate=3e-3,
    batch=64,
    ema_decay=0.999,
    spoken=replace(VARIED, count=1440),
)


def mouth_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of latents [..., h, w] that looks mostly at the masked ones."""
    mask = latent_mask(*target.shape[-2:]).to(target.device)
    weight = REST_WEIGHT + (MOUTH_WEIGHT - REST_WEIGHT) * mask
    return ((prediction.float() - target).square() * weight).mean()


class _OnLatents:
    """What both have in common: prepared samples, or talking clips in the latents of the workshop's codec."""

    def __init__(self, recipe: TeacherRecipe | StudentRecipe, workshop: Workshop) -> None:
        self.recipe, self.workshop = recipe, workshop
        self.config = tiny()
        self.prepared = PreparedSamples.listed(recipe.samples) if recipe.samples else None
        drawn = self.prepared is None
        self.made_of = latent_origin(recipe.spoken, workshop.part("codec")) if drawn else self.prepared.made_of

    def build(self) -> WanTransformer:
        """The network, with adapters where the recipe wants them."""
        return adapt(WanTransformer(self.config), self.recipe.lora_rank)

    def continued(self, base: nn.Module) -> Mapping[str, Tensor]:
        """First weights of a network that starts from another one's."""
        with seeded(self.recipe.seed):
            network = self.build()
        network.load_state_dict(base.state_dict(), strict=not self.recipe.lora_rank)
        return network.state_dict()

    def packaged(self, name: str) -> Mapping[str, Tensor]:
        """Weights of the package's network ``name``, for the latents of the workshop's codec."""
        earlier, later = family.load("codec"), self.workshop.part("codec")
        if weights_hash(earlier.encoder) == weights_hash(later.encoder):
            return family.load(name).state_dict()
        videos = pixels(random_faces(UNSEEN, REBASE_PEOPLE, 17, self.workshop.data)[0])
        videos = torch.cat((videos, videos * (1 - pixel_mask(*SIZE).float())))
        return rebased(family.load(name), latent_map(earlier, later, videos))

    @cached_property
    def clips(self) -> LatentClips | PreparedSamples:
        return self.prepared or latent_clips(self.recipe.spoken, self.workshop)

    def unseen(self) -> Iterator[Shown]:
        """Clips that are never learnt from."""
        if self.prepared:
            return self.prepared.unseen(self.config, self.workshop.part("codec"))
        return unseen_clips(self.config, self.workshop)

    def samples(self, batch: Batch) -> tuple[Tensor, Inputs]:
        """Targets [B, 16, 9, h, w] and inputs of a batch's rows, on its device, where drawn clips stay."""
        rows = batch["rows"]
        self.clips = self.clips.to(rows.device)
        x0, inputs = self.clips.inputs(rows, self.config)
        return x0.to(rows.device), moved(inputs, rows.device)

    def validate(self, models: Mapping[str, nn.Module], folder: Path) -> dict[str, float]:
        """See ``mouth_figures``, and the correlation of mouth openings; source, truth and result side by side."""
        (model,) = models.values()
        device = next(model.parameters()).device
        codec, meter = self.workshop.part("codec"), family.load("meter")
        found, openings = [], []
        for i, clip in enumerate(self.unseen()):
            made = self.made(model, moved(clip.inputs, device), torch.Generator().manual_seed(i))
            result = levels(decode(codec, made.cpu().float())[0])
            found.append(mouth_figures(result, clip.truth))
            openings.append([meter(pixels(shown).transpose(0, 1))[:, 0] for shown in (result, clip.truth)])
            if rank() == 0:
                write_video(folder / f"{i}.mp4", clip.source, clip.truth, result, sound=clip.sound)
        ours, theirs = (torch.cat(tracks) for tracks in zip(*openings))
        return {**means(found), "opening": correlation(ours, theirs)}


class TeacherTask(_OnLatents):
    """Flow matching of the bidirectional network; time is uniform, shifted towards noise."""

    def __init__(self, recipe: TeacherRecipe, workshop: Workshop) -> None:
        super().__init__(recipe, workshop)
        self.base = family.load("teacher") if recipe.lora_rank else None
        if self.base:
            self.made_of = {**self.made_of, "teacher": weights_hash(self.base)}
        self.networks = {"teacher": Network(self.build, self.first_weights)}

    def first_weights(self) -> Mapping[str, Tensor]:
        if self.recipe.go_on:
            return self.packaged("teacher")
        if self.base:
            return self.continued(self.base)
        with seeded(self.recipe.seed):
            return initialise(WanTransformer(self.config)).state_dict()

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Rows, noise [B, 16, 6 or 9, h, w], times [B], and whether the audio is heard [B]."""
        recipe, size = self.recipe, list(self.clips.shape)
        rows = torch.randint(len(self.clips), (recipe.batch,), generator=generator)
        if step % 3:  # mostly two chunks: half the attention
            size[1] = min(SHORT, size[1])
        batch = {"rows": rows, "noise": torch.randn((recipe.batch, *size), generator=generator)}
        batch["time"] = T_MAX * shift_time(torch.rand(recipe.batch, generator=generator))
        if recipe.audio_drop:
            batch["heard"] = (torch.rand(recipe.batch, generator=generator) >= recipe.audio_drop).float()
        return batch

    def losses(
        self, step: int, batch: Batch, models: Mapping[str, nn.Module]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        model, eps, t = models["teacher"], batch["noise"], batch["time"]
        x0, inputs = self.samples(batch)
        frames = eps.shape[2]
        x0, inputs = x0[:, :, :frames], inputs.span(0, frames)
        if "heard" in batch:
            inputs = replace(inputs, audio=inputs.audio * batch["heard"][:, None, None])
        v = model(forward_process(x0, eps, t[:, None, None, None, None]), t, model.prepare(inputs))
        yield "teacher", {"loss": mouth_loss(v, velocity(x0, eps))}

    def made(self, model: WanTransformer, inputs: Inputs, generator: torch.Generator) -> Tensor:
        """x0 [1, 16, 9, h, w] of ten steps without guidance."""
        grid = teacher_grid(VALIDATION_STEPS).tolist()
        noise = torch.randn(inputs.masked_video.shape, generator=generator).to(inputs.masked_video.device)
        return sample_euler(Teacher(model, inputs).positive, grid[0] * noise, grid)


class StudentTask(_OnLatents):
    """Causal training of a copy of the teacher at the two noise levels of the schedule."""

    def __init__(self, recipe: StudentRecipe, workshop: Workshop) -> None:
        super().__init__(recipe, workshop)
        if recipe.go_on:
            self.networks = {"student": Network(self.build, lambda: self.packaged("student"))}
            return
        teacher = workshop.part("teacher")
        self.made_of = {**self.made_of, "teacher": weights_hash(teacher)}
        self.networks = {"student": Network(self.build, lambda: self.continued(teacher))}

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Rows, the step at which the rollout is left, noise [B, chunks, steps, 16, 3, h, w]."""
        rows = torch.randint(len(self.clips), (self.recipe.batch,), generator=generator)
        exit_step = torch.randint(len(TWO_STEP) - 1, (), generator=generator)
        channels, frames, height, width = self.clips.shape
        size = (frames // CHUNK_LATENTS, len(TWO_STEP) - 1, len(rows), channels, CHUNK_LATENTS, height, width)
        noise = torch.randn(size, generator=generator)
        return {"rows": rows, "exit": exit_step, "noise": noise.movedim(2, 0)}

    def losses(
        self, step: int, batch: Batch, models: Mapping[str, nn.Module]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        model, exit_step = models["student"], int(batch["exit"])
        x0, inputs = self.samples(batch)
        clean, noise = x0.split(CHUNK_LATENTS, dim=2), batch["noise"].movedim(0, 2)
        stream, chunks = CausalStream(NetworkStudent(model), x0), chunks_of(model, inputs)
        if step >= self.recipe.self_forcing_from * self.recipe.iterations:
            predictions = self_forcing(stream, chunks, noise, TWO_STEP, exit_step)
        else:
            predictions = diffusion_forcing(stream, chunks, clean, noise[:, exit_step], TWO_STEP[exit_step])
        # one by one, so that no more than one chunk's activations are kept; the targets end first, so what would be
        # kept of the last chunk is never computed
        for target, prediction in zip(clean, predictions):
            yield "student", {"loss": mouth_loss(prediction, target) / len(clean)}

    def made(self, model: WanTransformer, inputs: Inputs, generator: torch.Generator) -> Tensor:
        """x0 [1, 16, 9, h, w] of a rollout as at inference."""
        like = inputs.masked_video
        chunks = chunks_of(model, inputs)
        shape = (like.shape[2] // CHUNK_LATENTS, len(TWO_STEP) - 1, *like[:, :, :CHUNK_LATENTS].shape)
        noise = torch.randn(shape, generator=generator).to(like.device)
        stream = CausalStream(NetworkStudent(model), like)
        return torch.cat([*self_forcing(stream, chunks, noise, TWO_STEP, len(TWO_STEP) - 2)], dim=2)


def chunks_of(model: WanTransformer, inputs: Inputs) -> Iterator[Conditioning]:
    """The conditions of chunk after chunk, prepared when they are asked for."""
    for first in range(0, inputs.masked_video.shape[2], CHUNK_LATENTS):
        yield model.prepare(inputs.span(first, first + CHUNK_LATENTS))


def moved(inputs: Inputs, device: torch.device) -> Inputs:
    """The same on a device."""
    return Inputs(*(value.to(device) for value in vars(inputs).values()))


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
