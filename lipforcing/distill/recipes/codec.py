"""Training of the tiny video autoencoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...codecs.base import LATENT_CHANNELS, SPATIAL_FACTOR, decode, encode
from ...codecs.tiny import TinyCodec, TinyCodecConfig, to_blocks
from ...faces.mask import pixel_mask
from ...timeline import latents_for_frames
from ..cache import weights_hash
from ..parallel import Network, rank
from ..recipe import Recipe
from ..trainer import Batch
from ..validation import levels, means, mouth_figures, write_video
from .data import SIZE, UNSEEN, UNSEEN_PEOPLE, pixels, random_faces
from .workshop import Workshop, seeded


@dataclass(frozen=True)
class CodecRecipe(Recipe):
    """Further settings of the codec's training.

    Attributes:
        people, frames: clips that it learns from, and their length.
        window: frames of a sample.
        patch: pixels of a sample's side; the codec is convolutional, so it learns from patches what it needs for whole
            faces.
        mouth_weight: of the mouth's pixels in the loss.
        latent_noise: what the decoder must forgive the diffusion model.
        edge_weight: of the differences of neighbouring pixels in the loss.
        blocks, width, decoder_blocks, decoder_width, fine: sizes, see ``TinyCodecConfig``.
        mouth_share: share of the samples in the lower part of the picture; the others lie anywhere.
        encoder_learns: else the decoder alone does, and what was trained on the codec's latents stays valid.
        start: ``principal`` components, or the ``codec`` that was trained before (its sizes then count): in the
            workshop, else the package's.
    """

    people: int = 2000
    frames: int = 17
    window: int = 9
    patch: int = 64
    mouth_weight: float = 3.0
    latent_noise: float = 0.03
    edge_weight: float = 1.0
    blocks: int = 3
    width: int = 160
    decoder_blocks: int = 3
    decoder_width: int = 160
    fine: int = 64
    mouth_share: float = 0.5
    encoder_learns: bool = True
    start: str = "principal"


# What made the package's codec, one after the other, on a GPU: the whole of it, then more steps of the decoder, which
# leave valid what was trained on its latents; then the last once more (docs/training.md).
RECIPE = CodecRecipe(
    "codec", iterations=1627, learning_rate=2e-3, seed=11, batch=64, ema_decay=0.999, validate_every=500
)
DECODER = replace(
    RECIPE,
    iterations=2767,
    learning_rate=1e-3,
    precision="bfloat16",
    latent_noise=0.08,
    mouth_share=0.0,
    encoder_learns=False,
    start="codec",
)

PEOPLE_TO_START = 500  # whose principal components a codec starts from
GREY_EVERY = 8  # samples, of which one has its mouth greyed out


def sizes(recipe: CodecRecipe) -> TinyCodecConfig:
    """Of the codec that a recipe trains from the start."""
    names = ("width", "blocks", "decoder_width", "decoder_blocks", "fine")
    return TinyCodecConfig(**{name: getattr(recipe, name) for name in names})


class CodecTask:
    """Reconstruct patches of drawn faces, some of them with the mouth greyed out."""

    def __init__(self, recipe: CodecRecipe, workshop: Workshop) -> None:
        self.recipe, self.workshop = recipe, workshop
        self.earlier = workshop.part("codec") if recipe.start == "codec" else None
        self.config = self.earlier.config if self.earlier else sizes(recipe)
        self.made_of = {"codec": weights_hash(self.earlier)} if self.earlier else {}
        self.networks = {"codec": Network(self.build, self.first_weights)}

    def build(self) -> TinyCodec:
        """The codec, of which the encoder may be fixed."""
        codec = TinyCodec(self.config)
        codec.encoder.requires_grad_(self.recipe.encoder_learns)
        return codec

    @cached_property
    def pool(self) -> Tensor:
        """All faces, uint8 [people, frames, 128, 128, 3]."""
        recipe = self.recipe
        return random_faces(recipe.seed, recipe.people, recipe.frames, self.workshop.data)[0]

    def first_weights(self) -> Mapping[str, Tensor]:
        if self.earlier:
            return self.earlier.state_dict()
        with seeded(self.recipe.seed):
            return initialise(TinyCodec(self.config), pixels(self.pool[:PEOPLE_TO_START, :4])).state_dict()

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Where patches begin (person, frame, top, left) [B], whether their mouth is greyed out [B], and noise."""
        recipe, patch = self.recipe, self.recipe.patch
        limits = {
            "person": recipe.people,
            "frame": recipe.frames - recipe.window + 1,
            "top": SIZE[0] - patch + 1,
            "left": SIZE[1] - patch + 1,
        }
        batch = {name: torch.randint(n, (recipe.batch,), generator=generator) for name, n in limits.items()}
        low = slice(recipe.batch - round(recipe.mouth_share * recipe.batch), None)
        batch["top"][low] = SIZE[0] - patch - batch["top"][low] // 3  # the lower part of the picture
        # the codec also meets clips whose mouth is greyed out
        batch["grey"] = torch.arange(recipe.batch) % GREY_EVERY == 0
        latents = (LATENT_CHANNELS, latents_for_frames(recipe.window), patch // SPATIAL_FACTOR, patch // SPATIAL_FACTOR)
        noise = recipe.latent_noise * torch.randn((recipe.batch, *latents), generator=generator)
        return {**batch, "noise": noise}

    def patches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Videos [B, 3, 9, 64, 64] and the weights of their pixels [B, 1, 1, 64, 64], on the batch's device."""
        self.pool = self.pool.to(batch["person"].device)  # it stays there
        mouth = pixel_mask(*SIZE).to(self.pool.device).float()

        def along(name: str, length: int) -> Tensor:
            return batch[name][:, None] + torch.arange(length, device=self.pool.device)

        frames, rows, columns = (
            along("frame", self.recipe.window),
            along("top", self.recipe.patch),
            along("left", self.recipe.patch),
        )
        at = rows[:, :, None], columns[:, None, :]
        video = pixels(
            self.pool[batch["person"][:, None, None, None], frames[:, :, None, None], at[0][:, None], at[1][:, None]]
        )
        mouth = mouth[at][:, None, None]
        video = video * (1 - mouth * batch["grey"][:, None, None, None, None])
        return video, 1 + (self.recipe.mouth_weight - 1) * mouth

    def losses(
        self, step: int, batch: Batch, models: Mapping[str, nn.Module]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        video, weight = self.patches(batch)
        latents = encode(models["codec"], video)
        result = decode(models["codec"], latents + batch["noise"], clamp=False).float()
        picture = reconstruction_loss(result, video, weight, self.recipe.edge_weight)
        moments = moment_loss(latents.float())
        l1 = F.l1_loss(result, video)
        yield "codec", {"loss": picture + 0.02 * moments, "l1": l1, "moments": moments}

    def validate(self, models: Mapping[str, nn.Module], folder: Path) -> dict[str, float]:
        """See ``mouth_figures``; the truth left, the codec's right."""
        codec, device = models["codec"], next(models["codec"].parameters()).device
        faces = random_faces(UNSEEN, UNSEEN_PEOPLE, self.recipe.frames, self.workshop.data)[0]
        found = []
        for i, truth in enumerate(faces):
            video = pixels(truth)[None].to(device)
            result = levels(decode(codec, encode(codec, video))[0].cpu())
            found.append(mouth_figures(result, truth))
            if rank() == 0:
                write_video(folder / f"{i}.mp4", truth, result)
        return means(found)


def edges(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels, along width and height."""
    return x.diff(dim=-1), x.diff(dim=-2)


def reconstruction_loss(result: Tensor, target: Tensor, weight: Tensor, edge_weight: float = 1.0) -> Tensor:
    """Weighted L1 of pixels, plus L1 of edges (which keeps lips and teeth sharp)."""
    loss = ((result - target).abs() * weight).mean()
    for a, b in zip(edges(result), edges(target)):
        loss = loss + edge_weight * (a - b).abs().mean()
    return loss


def moment_loss(latents: Tensor) -> Tensor:
    """Pulls every latent channel to zero mean and unit variance, the diffusion model's idea of a latent."""
    mean, variance = latents.mean(dim=(0, 2, 3, 4)), latents.var(dim=(0, 2, 3, 4))
    return mean.square().mean() + (variance - 1).square().mean()


@torch.no_grad()
def initialise(codec: TinyCodec, video: Tensor) -> TinyCodec:
    """Start as the principal components of the blocks of ``video`` [N, 3, 4, H, W], with refinements that add nothing.

    Every latent channel then has zero mean and unit variance.
    """
    blocks = to_blocks(video).permute(0, 1, 3, 4, 2).flatten(0, 3)
    mean, covariance = blocks.mean(0), torch.cov(blocks.T)
    variances, axes = torch.linalg.eigh(covariance)
    variances, axes = variances[-codec.latent_channels :], axes[:, -codec.latent_channels :]
    whiten, colour = (axes / variances.sqrt()).T, axes * variances.sqrt()
    codec.encoder.linear.weight.copy_(whiten[..., None, None])
    codec.encoder.linear.bias.copy_(-whiten @ mean)
    codec.decoder.linear.weight.copy_(colour[..., None, None])
    codec.decoder.linear.bias.copy_(mean)
    last = [codec.encoder.leave, codec.decoder.leave, codec.smooth[-1]]
    last += [codec.fine.leave] if codec.fine is not None else []
    for layer in last:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return codec
