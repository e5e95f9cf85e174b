"""What is done to a plain network from outside: activation checkpointing, compilation, sharding, in this order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
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


def rank() -> int:
    """Number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def ranks() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    """Wait for all processes."""
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def processes(device: torch.device) -> Iterator[tuple[torch.device, DeviceMesh | None]]:
    """This process's device and the mesh of all that torchrun started; None where it runs alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield device, None
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(hours=6))  # others wait while the first one makes data
    try:
        yield device, init_device_mesh(device.type, (count,))
    finally:
        dist.destroy_process_group()


@dataclass(frozen=True)
class Network:
    """A network to be trained, before it is anywhere.

    Attributes:
        build: makes it; called for the meta device, so what it does to values is lost.
        weights: its first state dict, whole; the first rank alone is asked.
    """

    build: Callable[[], nn.Module]
    weights: Callable[[], Mapping[str, Tensor]]


def place(network: Network, device: torch.device, mesh: DeviceMesh | None, policy: Policy) -> nn.Module:
    """Build on the meta device, parallelise, materialise and fill.

    No rank ever holds more than its shards, and the first one the weights that it deals out. Transformers alone are
    sharded; of anything else every rank has a copy.
    """
    with torch.device("meta"):
        model = network.build()
    sharded = mesh is not None and isinstance(model, WanTransformer)
    if isinstance(model, WanTransformer):
        parallelize(model, mesh, policy)
    model.to_empty(device=device)
    weights = dict(network.weights()) if rank() == 0 else {}
    if sharded or ranks() > 1:
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(model, weights, options=options)
    else:
        model.load_state_dict(weights)
    return model


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
