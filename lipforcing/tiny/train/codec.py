"""Training of the tiny video autoencoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ...codecs.base import decode, encode
from ...codecs.tiny import TinyCodec, to_blocks
from ...faces.mask import pixel_mask
from .data import SIZE, pixels, random_clips
from .loop import Recipe, train

RECIPE = Recipe("codec", iterations=2400, learning_rate=2e-3, seed=11)
PEOPLE, FRAMES, WINDOW, BATCH = 500, 17, 9, 8
PATCH = 64  # pixels; the codec is convolutional, so it learns from patches what it needs for whole faces
MOUTH_WEIGHT = 3.0
LATENT_NOISE = 0.08  # what the decoder must forgive the diffusion model


def edges(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels, along width and height."""
    return x.diff(dim=-1), x.diff(dim=-2)


def reconstruction_loss(result: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 of pixels, plus L1 of edges (which keeps lips and teeth sharp)."""
    loss = ((result - target).abs() * weight).mean()
    for a, b in zip(edges(result), edges(target)):
        loss = loss + (a - b).abs().mean()
    return loss


def moment_loss(latents: Tensor) -> Tensor:
    """Pulls every latent channel to zero mean and unit variance, the diffusion model's idea of a latent."""
    mean, variance = latents.mean(dim=(0, 2, 3, 4)), latents.var(dim=(0, 2, 3, 4))
    return mean.square().mean() + (variance - 1).square().mean()


def run(out: Path) -> TinyCodec:
    """Train the codec; see ``RECIPE``."""
    torch.manual_seed(RECIPE.seed)
    clips = random_clips(RECIPE.seed, PEOPLE, FRAMES)
    pool = torch.stack([frames for frames, _ in tqdm(clips, total=PEOPLE, desc="faces", mininterval=5)])
    codec = initialise(TinyCodec(), pixels(pool[:, :4]))
    mouth = pixel_mask(*SIZE).float()
    weight = 1 + (MOUTH_WEIGHT - 1) * mouth
    generator = torch.Generator().manual_seed(RECIPE.seed)

    def pick(limit: int) -> list[int]:
        return torch.randint(limit, (BATCH,), generator=generator).tolist()

    def batch() -> tuple[Tensor, Tensor]:
        """Video patches [B, 3, 9, 64, 64] and the weights of their pixels [B, 1, 1, 64, 64]."""
        videos, weights = [], []
        places = zip(pick(PEOPLE), pick(FRAMES - WINDOW + 1), pick(SIZE[0] - PATCH + 1), pick(SIZE[1] - PATCH + 1))
        for i, (person, start, top, left) in enumerate(places):
            area = slice(top, top + PATCH), slice(left, left + PATCH)
            video = pixels(pool[person, start : start + WINDOW, area[0], area[1]])
            # the codec also meets clips whose mouth is greyed out
            videos.append(video * (1 - mouth[area]) if i == 0 else video)
            weights.append(weight[area][None, None])
        return torch.stack(videos), torch.stack(weights)

    def step(_: int) -> dict[str, Tensor]:
        video, weights = batch()
        with torch.autocast("cpu", torch.bfloat16):
            latents = encode(codec, video)
            noisy = latents + LATENT_NOISE * torch.randn(latents.shape, generator=generator)
            result = decode(codec, noisy, clamp=False)
        picture = reconstruction_loss(result.float(), video, weights)
        moments = moment_loss(latents.float())
        l1 = F.l1_loss(result.float(), video)
        return {"loss": picture + 0.02 * moments, "l1": l1.detach(), "moments": moments.detach()}

    return train(codec, step, RECIPE, out)


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
    for last in (codec.encoder.leave, codec.decoder.leave, codec.smooth[-1]):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return codec
