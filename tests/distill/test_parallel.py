"""What parallelisation does to a network: nothing that its outputs and gradients could tell."""

from __future__ import annotations

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh

from lipforcing.distill.forcing import self_forcing
from lipforcing.distill.parallel import Policy, parallelize
from lipforcing.models import Inputs, WanTransformer
from tests.models.helpers import SIGMAS, random_inputs, random_noise, small_model, spans, stream_of

LATENTS, BATCH = 12, 2
POLICIES = {
    "plain": Policy(),
    "checkpointed": Policy(checkpointing=True),
    "all": Policy(checkpointing=True, compile=True, backend="eager"),
}


def rollout(model, rows: slice) -> torch.Tensor:
    """Loss of a self-forcing rollout over four chunks of some rows of the batch; gradients are left in the model."""
    inputs = random_inputs(model.config, LATENTS, BATCH)
    noise = random_noise(inputs)[:, :, rows]
    inputs = Inputs(*(value[rows] for value in vars(inputs).values()))
    chunks = spans(model.prepare(inputs), LATENTS)
    x0 = torch.cat(list(self_forcing(stream_of(model, inputs), chunks, noise, SIGMAS, 1)), dim=2)
    loss = x0.square().mean()
    loss.backward()
    return loss.detach()


def expected() -> tuple[torch.Tensor, list[torch.Tensor]]:
    model = small_model().requires_grad_()
    return rollout(model, slice(None)), [p.grad for p in model.parameters()]


def worst(gradients, theirs) -> float:
    """Largest difference relative to each parameter's largest gradient."""
    pairs = list(zip(gradients, theirs, strict=True))
    assert all(a is not None for a, _ in pairs)
    return max(((a - b).abs().max() / b.abs().max().clamp(min=1e-6)).item() for a, b in pairs)


@pytest.mark.parametrize("policy", [POLICIES["checkpointed"], POLICIES["all"]], ids=["checkpointed", "compiled too"])
def test_one_process(policy):
    loss, gradients = expected()
    model = parallelize(small_model().requires_grad_(), policy=policy)
    assert model.state_dict().keys() == small_model().state_dict().keys()
    torch.testing.assert_close(rollout(model, slice(None)), loss, atol=1e-6, rtol=0)
    assert worst([p.grad for p in model.parameters()], gradients) <= 1e-6


def rank_main(rank: int, port: int, policy: str, queue) -> None:
    """One of two ranks: starts on the meta device, gets its shard of the weights, runs its row of the batch."""
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    dist.init_process_group("gloo")
    plain = small_model()
    model = WanTransformer(plain.config, device="meta")
    model = parallelize(model, init_device_mesh("cpu", (2,)), POLICIES[policy])
    model.to_empty(device="cpu")
    set_model_state_dict(model, plain.state_dict(), options=StateDictOptions(full_state_dict=True))
    loss = rollout(model, slice(rank, rank + 1))
    dist.all_reduce(loss, op=dist.ReduceOp.SUM)
    gradients = [p.grad.full_tensor() for p in model.parameters()]
    local = sum(p.to_local().numel() for p in model.parameters())
    if rank == 0:
        queue.put((loss / 2, gradients, local / sum(p.numel() for p in plain.parameters())))
        queue.join()
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize("policy", ["plain", "all"])
def test_two_ranks_equal_one(policy):
    """FSDP2 over two gloo ranks at the same global batch."""
    loss, gradients = expected()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    queue = mp.get_context("spawn").JoinableQueue()
    ranks = mp.spawn(rank_main, (port, policy, queue), nprocs=2, join=False)
    try:
        theirs, sharded, share = queue.get(timeout=300)
        sharded = [gradient.clone() for gradient in sharded]
        queue.task_done()
    finally:
        ranks.join(timeout=60)
    torch.testing.assert_close(theirs, loss, atol=1e-6, rtol=0)
    assert worst(sharded, gradients) <= 1e-5
    assert share == pytest.approx(0.5, abs=0.1)  # each rank holds half of the weights
