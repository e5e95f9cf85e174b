"""A large checkpoint is converted in a fraction of its size in memory (run with --slow; needs 5 GB of disk)."""

from __future__ import annotations

import pytest

from benchmarks.common import measured
from benchmarks.conversion import LARGEST, sparse_checkpoint

GIB = 1 << 30


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["fp8_e4m3fn", "bf16"])
def test_peak_memory(tmp_path, dtype, record_property):
    source, out = tmp_path / "large.safetensors", tmp_path / "out.safetensors"
    size = sparse_checkpoint(source, 3.25)
    assert size > 3 * GIB
    found = measured("benchmarks.conversion", ["--once", str(source), str(out), dtype], threads=1)
    figures = f"{dtype}: {size / 1e9:.2f} GB in {found['seconds']:.0f} s, peak {found['peak'] / 1e9:.2f} GB"
    print(f"{figures}, of which {found['start'] / 1e9:.2f} GB for Python and torch")
    record_property("memory", figures)
    assert found["peak"] < LARGEST + GIB
    assert found["peak"] - found["start"] < GIB // 2  # blocks of 64 MB, whatever the tensors' size
    assert out.stat().st_size > (size // 2 if dtype == "fp8_e4m3fn" else size - 8192)
    out.unlink()
