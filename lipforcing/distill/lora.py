"""Low-rank adapters in training: few weights learn, and the result is a network like any other.

As the published ones: a pair on every linear layer of the blocks, of ratio alpha / rank 0.5; what hears and what takes
the input channels learns whole; all else stays fixed. Names are those of adapter files (``checkpoints.lora``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..checkpoints.lora import PUBLISHED_RATIO
from ..models import WanTransformer

WHOLE = ("patch_embedding.", "audio_proj.", "audio_cond_projs.")  # modules that learn without adapters


class AdaptedLinear(nn.Linear):
    """A fixed linear layer and what is added to it: ``x W' + ratio x A' B'``. B starts as zeros."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        place = {"bias": False, "device": base.weight.device, "dtype": base.weight.dtype}
        self.lora_A = nn.Linear(self.in_features, rank, **place)
        self.lora_B = nn.Linear(rank, self.out_features, **place)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + PUBLISHED_RATIO * self.lora_B(self.lora_A(x))

    def merged(self) -> nn.Linear:
        """One layer that does the same, computed in float32."""
        plain = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        added = PUBLISHED_RATIO * self.lora_B.weight.float() @ self.lora_A.weight.float()
        plain.weight = nn.Parameter((self.weight.float() + added).to(self.weight.dtype))
        plain.bias = self.bias
        return plain


def adapt(network: WanTransformer, rank: int) -> WanTransformer:
    """Give the linear layers of all blocks adapters, in place, and fix all that does not learn; rank 0 is none."""
    if not rank:
        return network
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(WHOLE))
    for block in network.blocks:
        _replace(block, nn.Linear, lambda layer: AdaptedLinear(layer, rank))
    return network


@torch.no_grad()
def merge(network: nn.Module) -> nn.Module:
    """Add adapters, where there are any, to the layers that they adapt, in place."""
    _replace(network, AdaptedLinear, AdaptedLinear.merged)
    return network


def _replace(module: nn.Module, kind: type[nn.Linear], other) -> None:
    for name, child in module.named_children():
        if type(child) is kind:
            setattr(module, name, other(child))
        else:
            _replace(child, kind, other)
