"""How many graphs the compiler makes of the causal network: a few, once, and the same for all layers."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch._dynamo.utils import counters

from lipforcing.distill.parallel import Policy, parallelize
from lipforcing.models.blocks import Block
from lipforcing.sampling.causal import denoise_chunk

from .helpers import SIGMAS, random_inputs, random_noise, small_model, spans, stream_of

CHUNKS = 20


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def run(model) -> list[tuple[torch.Tensor, int]]:
    """Every chunk of a long clip, and how many graphs there were after it."""
    inputs = random_inputs(model.config, 3 * CHUNKS)
    chunks = spans(model.prepare(inputs), 3 * CHUNKS)
    stream, out = stream_of(model, inputs), []
    with torch.no_grad():
        for chunk, draws in zip(chunks, random_noise(inputs)):
            x0 = denoise_chunk(lambda x, sigma, chunk=chunk: stream(x, sigma, chunk), draws, SIGMAS)
            stream.cache_write(x0, chunk)
            out.append((x0, counters["stats"]["unique_graphs"]))
    return out


def check(compiled, plain, graphs: int) -> None:
    for (ours, _), (theirs, _) in zip(compiled, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert compiled[3][1] == compiled[-1][1] == graphs, [count for _, count in compiled]
    assert not counters["graph_break"] and not counters["recompile_limit"]


def test_whole_functions_make_three_graphs_each():
    plain = run(small_model())
    model = small_model()
    model.forward_chunk = torch.compile(model.forward_chunk, backend="eager", fullgraph=True, dynamic=False)
    model.cache_write = torch.compile(model.cache_write, backend="eager", fullgraph=True, dynamic=False)
    check(run(model), plain, graphs=6)


def test_blocks_share_their_graphs():
    """Forty layers, three graphs of a block's forward, one of what a cache write needs of the last, one of the text."""
    traced: Counter[str] = Counter()

    def backend(graph, inputs):
        traced[len(graph.graph.find_nodes(op="output")[0].args[0])] += 1
        return graph.forward

    plain = run(small_model(num_layers=40))
    model = parallelize(small_model(num_layers=40), policy=Policy(compile=True, backend=backend))
    check(run(model), plain, graphs=3 + 1 + 1)
    assert sum(traced.values()) == 5 and len(Block.METHODS) == 3


@pytest.mark.slow
def test_inductor_gives_the_same_chunks():
    plain = run(small_model())
    check(run(parallelize(small_model(), policy=Policy(compile=True))), plain, graphs=5)
