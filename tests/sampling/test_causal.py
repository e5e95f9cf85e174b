"""The two-step causal sampler against the reference's chunks, with the reference's noise."""

from __future__ import annotations

import pytest
import torch

from lipforcing.models import CausalStream, FullKVCache, RollingKVCache
from lipforcing.sampling.causal import ChunkNoise, sample_causal
from tests.models.helpers import conditioning_of, model_of, random_conditioning, small_model


class GivenNoise:
    """The golden set's noise in the order in which the sampler asks for it."""

    def __init__(self, data) -> None:
        size = data.config["chunk_size"]
        first = data["noise/init"].split(size, dim=2)
        self.draws = iter([draw for c, init in enumerate(first) for draw in (init, *data["noise/renoise"][c])])

    def like(self, x: torch.Tensor) -> torch.Tensor:
        draw = next(self.draws)
        assert draw.shape == x.shape
        return draw


@pytest.mark.parametrize(
    "name, cache_type", [("student_ar", RollingKVCache), ("student_fullattn", FullKVCache)], ids=["rolling", "full"]
)
def test_sampler_gives_the_references_chunks(golden, parity, name, cache_type):
    data = golden(name)
    model = model_of(golden("student_ar"))
    conditioning = conditioning_of(data, model)
    size, count = data.config["chunk_size"], data["noise/renoise"].shape[0]
    chunks = [conditioning.span(size * c, size * (c + 1)) for c in range(count)]
    noise = GivenNoise(data)
    sampled = sample_causal(CausalStream(model, cache_type), chunks, noise, data["schedule/t_list"].tolist())
    for c, x0 in enumerate(sampled):
        parity(name, "sampled chunk", x0, data[f"chunk{c}/x0"], 2e-5)
    assert c == count - 1
    assert next(noise.draws, None) is None


def test_chunks_come_one_by_one_and_the_last_is_not_remembered():
    """A chunk is given out before the next one's conditions are asked for, and before it is written to the cache."""
    model = small_model()
    conditioning = random_conditioning(model, 9)
    events = []

    class Stream(CausalStream):
        def remember(self, x0, chunk):
            events.append("remember")
            super().remember(x0, chunk)

    def chunks():
        for c in range(3):
            events.append(f"asked {c}")
            yield conditioning.span(3 * c, 3 * c + 3)

    for c, _ in enumerate(sample_causal(Stream(model), chunks(), ChunkNoise(0))):
        events.append(f"given {c}")
    assert events == ["asked 0", "given 0", "asked 1", "remember", "given 1", "asked 2", "remember", "given 2"]


def test_one_step_schedule_needs_no_further_noise():
    model = small_model()
    chunk = random_conditioning(model, 3)
    noise = ChunkNoise(5)
    (x0,) = sample_causal(CausalStream(model), [chunk], noise, (0.999, 0.0))
    again = ChunkNoise(5)
    start = again.like(x0)
    expected = start - 0.999 * CausalStream(model)(start, 0.999, chunk)
    torch.testing.assert_close(x0, expected)
    assert torch.equal(noise.generator.get_state(), again.generator.get_state())
