"""What is done to a plain network from outside: activation checkpointing, compilation, sharding, in this order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from ..models import WanTransformer
from ..models.blocks import Block


@dataclass(frozen=True)
class Policy:
    """How a network is run.

    Attributes:
        checkpointing: compute the activations of a block again in the backward pass instead of keeping them.
        compile: compile every block; all share the same graphs.
        backend: of the compiler.
        dtype: of parameters while they are used and of activations (None: as they are); gradients are reduced in
            float32, parameters are kept as they are.
    """

    checkpointing: bool = False
    compile: bool = False
    backend: str = "inductor"
    dtype: torch.dtype | None = None


def parallelize(network: WanTransformer, mesh: DeviceMesh | None = None, policy: Policy = Policy()) -> WanTransformer:  # noqa: B008
    """Checkpoint, compile and shard a network in place.

    It may still be on the meta device: then materialise it afterwards (``network.to_empty``), and load its weights.
    Names of parameters in ``state_dict`` stay what they are.

    Args:
        network: plain.
        mesh: ranks to shard over with FSDP2; None does not shard.
        policy: see ``Policy``.
    """
    if policy.checkpointing:
        for i, block in enumerate(network.blocks):
            network.blocks[i] = checkpoint_wrapper(block)
    if policy.compile:
        for block in network.blocks:
            _compile_methods(block, policy.backend)
    if mesh is not None:
        precision = MixedPrecisionPolicy(policy.dtype, torch.float32) if policy.dtype else MixedPrecisionPolicy()
        for block in network.blocks:
            _shard(block, Block.METHODS, mesh, precision)
        _shard(network, WanTransformer.METHODS, mesh, precision)
    return network


def _compile_methods(block: nn.Module, backend: str) -> None:
    """Compile ``forward`` in place, so that names of parameters stay, and the other entrances of a block."""
    block.compile(backend=backend, dynamic=False)
    for name in Block.METHODS[1:]:
        setattr(block, name, torch.compile(getattr(block, name), backend=backend, dynamic=False))


def _shard(module: nn.Module, methods: tuple[str, ...], mesh: DeviceMesh, precision: MixedPrecisionPolicy) -> None:
    """Shard a module; each of its entrances gathers the parameters that it needs."""
    fully_shard(module, mesh=mesh, mp_policy=precision)
    for name in methods:
        if name != "forward":
            register_fsdp_forward_method(module, name)
