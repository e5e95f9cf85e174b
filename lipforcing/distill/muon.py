"""Muon: momentum whose update of every weight matrix is orthogonalised."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic that pushes singular values towards one (Jordan, 2024)
TOGETHER = 2**24  # numbers, 64 MB: small weights together save launches, large ones fill a device alone
RMS = 0.2  # root mean square of an update, as AdamW has it, so that learning rates carry over (Liu et al., 2025)


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices of ``matrices`` [..., n, m], roughly."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """For weights of two or more axes; convolution kernels count as matrices [out, in * kernel].

    torch's own takes matrices only, and one after the other. Here weights of equal sizes are orthogonalised together,
    up to ``TOGETHER`` numbers at a time. Of sharded weights every rank gathers one matrix after the other, whole.
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update, with Nesterov momentum."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p].setdefault("velocity", torch.zeros_like(p)).lerp_(p.grad, 1 - group["momentum"])
            for weights in alike([p for p in group["params"] if p.grad is not None]):
                updates = orthogonalised([p.grad.lerp(self.state[p]["velocity"], group["momentum"]) for p in weights])
                scale = RMS * max(weights[0].shape[0], weights[0][0].numel()) ** 0.5
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(weights, updates, alpha=-group["lr"] * scale)


def alike(weights: list[Tensor]) -> Iterator[list[Tensor]]:
    """Weights of equal sizes, as many at a time as may be orthogonalised together."""
    by_shape: dict[tuple, list[Tensor]] = {}
    for weight in weights:
        by_shape.setdefault((weight.shape, isinstance(weight, DTensor)), []).append(weight)
    for (shape, sharded), found in by_shape.items():
        most = 1 if sharded else max(1, TOGETHER // shape.numel())
        yield from (found[i : i + most] for i in range(0, len(found), most))


def orthogonalised(updates: list[Tensor]) -> list[Tensor]:
    """``orthogonalise`` of updates of equal shape [n, ...], further axes flattened; a sharded one stays sharded."""
    if isinstance(updates[0], DTensor):
        (update,) = updates
        whole = update.full_tensor()
        whole = orthogonalise(whole.flatten(1)).reshape(whole.shape)
        return [distribute_tensor(whole, update.device_mesh, update.placements)]
    together = orthogonalise(torch.stack([update.flatten(1) for update in updates]))
    return [update.reshape(updates[0].shape) for update in together]
