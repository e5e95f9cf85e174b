"""Muon: momentum whose update of every weight matrix is orthogonalised."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic that pushes singular values towards one (Jordan, 2024)
RMS = 0.2  # root mean square of an update, as AdamW has it, so that learning rates carry over (Liu et al., 2025)


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix of ``matrix`` [n, ...] (further axes flattened), roughly."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.flatten(1)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).reshape(matrix.shape)


class Muon(torch.optim.Optimizer):
    """For weights of two or more axes; convolution kernels count as matrices [out, in * kernel].

    torch's own takes matrices only. Of sharded weights every rank gathers one matrix after the other, whole.
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update, with Nesterov momentum."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                velocity.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalised(p.grad.lerp(velocity, group["momentum"]))
                scale = RMS * max(p.shape[0], p.numel() // p.shape[0]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def orthogonalised(matrix: Tensor) -> Tensor:
    """``orthogonalise`` of a matrix that may be sharded, sharded as it is."""
    if not isinstance(matrix, DTensor):
        return orthogonalise(matrix)
    return distribute_tensor(orthogonalise(matrix.full_tensor()), matrix.device_mesh, matrix.placements)
