"""What `lipforcing bench` says: its arithmetic, its stages, its output."""

from __future__ import annotations

import pytest
import torch

from lipforcing.models.config import wan_1_3b, wan_14b
from lipforcing.stream.bench import BenchResult, bench, chunk_flops, matmul_ceiling, random_family
from lipforcing.stream.meter import StageTimes

STAGES = ["encode", "condition", "cache write", "denoise", "decode"]


def test_result_is_computed_from_the_chunks():
    stages = {"denoise": StageTimes((0.2, 0.3)), "cache write": StageTimes((0.1, 0.1)), "decode": StageTimes((9.0,))}
    result = BenchResult(stages, StageTimes((0.4, 0.6)), 0.2, 5, flops=70.0, ceiling=1000.0)
    assert result.fps == pytest.approx(24)
    assert result.utilisation == pytest.approx(70 / (0.25 + 0.1) / 1000)
    assert result.as_dict()["stages"]["denoise"] == {"median_ms": 250, "min_ms": 200, "max_ms": 300}


def test_every_stage_is_timed_once_per_chunk():
    result = bench(random_family("tiny", torch.device("cpu"), torch.float32), chunks=2)
    assert sorted(result.stages) == sorted(STAGES)
    assert all(len(times.seconds) == 2 and times.median > 0 for times in result.stages.values())
    assert sum(times.total for times in result.stages.values()) < result.chunk.total
    assert result.first_frame > 0 and result.peak > 1e6 and 0 < result.utilisation < 1


def test_merged_cache_write_is_part_of_denoising():
    result = bench(random_family("tiny", torch.device("cpu"), torch.float32), chunks=1, merged=True)
    assert sorted(result.stages) == sorted({*STAGES} - {"cache write"})


def test_ceiling_is_a_rate_that_a_product_reaches():
    assert 1e8 < matmul_ceiling(torch.zeros(1), 0.1) < 1e14


def test_a_chunk_is_two_steps_and_a_cache_write_without_the_last_block():
    for config in (wan_14b(), wan_1_3b()):
        step = config.forward_flops(3 * 1024, 7 * 1024, 9)
        assert chunk_flops(config, 1024, 9) == pytest.approx((3 - 1 / config.num_layers) * step)
