"""A network that was trained on one codec's latents, taken to those of another.

The tiny family's codecs start from the same principal components, so the latents of one are nearly a linear map of
those of another, which the outermost layers of a transformer can take in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...codecs.base import VideoCodec, encode
from ...models import WanTransformer


@dataclass(frozen=True)
class LatentMap:
    """``earlier = matrix @ later + offset`` at every place.

    Attributes:
        matrix: [C, C].
        offset: [C].
    """

    matrix: Tensor
    offset: Tensor


@torch.no_grad()
def latent_map(earlier: VideoCodec, later: VideoCodec, videos: Tensor) -> LatentMap:
    """The linear map that fits latents of ``videos`` [B, 3, 1 + 4k, H, W] best (least squares)."""
    latents = [encode(codec, videos).movedim(1, -1).flatten(0, -2) for codec in (earlier, later)]
    ones = latents[1].new_ones(len(latents[1]), 1)
    solution = torch.linalg.lstsq(torch.cat((latents[1], ones), dim=1), latents[0]).solution
    return LatentMap(solution[:-1].T.contiguous(), solution[-1])


@torch.no_grad()
def rebased(network: WanTransformer, to: LatentMap) -> dict[str, Tensor]:
    """Weights that do to the later codec's latents what ``network`` does to the earlier one's.

    The offset of noisy latents, whose share depends on the noise, is left out: latents have a mean of nearly zero.
    """
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    channels, patch, bias = len(to.offset), weights["patch_embedding.weight"], weights["patch_embedding.bias"]
    noisy, reference, masked, sequence = 0, channels, 2 * channels + 1, 3 * channels + 1  # the mask is one channel
    for first in (noisy, reference, masked, sequence):
        own = patch[:, first : first + channels].clone()
        patch[:, first : first + channels] = torch.einsum("dctpq,ce->detpq", own, to.matrix)
        if first != noisy:
            bias += own.sum((2, 3, 4)) @ to.offset
    back = torch.linalg.inv(to.matrix)
    head, head_bias = (weights[f"head.head.{part}"].unflatten(0, (-1, channels)) for part in ("weight", "bias"))
    weights["head.head.weight"] = torch.einsum("ec,pcd->ped", back, head).flatten(0, 1)
    weights["head.head.bias"] = ((head_bias + to.offset) @ back.T).flatten()
    return weights
