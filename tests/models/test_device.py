"""A chunk on an accelerator waits for nothing: no copy between devices, nothing read back.

There is no accelerator here, so the tensors are fake: they know that they live on one, but hold nothing.
"""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lipforcing.models import WanConfig, WanTransformer
from lipforcing.sampling.causal import denoise_chunk

from .helpers import SIGMAS, random_inputs, spans, stream_of

CONFIG = WanConfig(48, 64, 2, 6, text_dim=8, text_len=4, freq_dim=16, audio_dim=6, audio_hidden=8)


class Watch(TorchDispatchMode):
    """Collects operations that touch more than one device, or give a number to Python."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs or {}, out)) if isinstance(x, torch.Tensor)]
        self.calls += 1
        if len({x.device.type for x in tensors}) > 1 or "local_scalar" in str(func):
            self.seen.append(str(func))
        return out


def chunk_on_a_device(between=None) -> Watch:
    """Two denoising steps and the cache write of three chunks, on a fake CUDA device; returns what was seen in them."""
    watch = Watch()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        model = WanTransformer(CONFIG, device="cuda")
        inputs = random_inputs(CONFIG, 9)
        inputs = type(inputs)(*(value.to("cuda") for value in vars(inputs).values()))
        stream = stream_of(model, inputs)
        noise = torch.randn(2, 1, 16, 3, 4, 6, device="cuda")
        for chunk in spans(model.prepare(inputs), 9):
            with watch:
                x0 = denoise_chunk(lambda x, sigma, chunk=chunk: stream(x, sigma, chunk), noise, SIGMAS)
                if between is not None:
                    between(x0)
                stream.cache_write(x0, chunk)
    assert x0.device.type == "cuda" and watch.calls > 500
    return watch


def test_nothing_crosses_devices_within_a_chunk():
    assert chunk_on_a_device().seen == []


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: x.abs().max().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: x + torch.arange(6.0).to(x.device),
        lambda x: x.cpu(),
    ],
    ids=["item", "branch", "table from the CPU", "download"],
)
def test_planted_faults_are_seen(fault):
    """Fake tensors refuse to give numbers, which is seen as well."""
    try:
        seen = chunk_on_a_device(fault).seen
    except Exception as error:
        assert "DataDependent" in type(error).__name__
    else:
        assert seen
