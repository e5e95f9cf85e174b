"""A large checkpoint is converted in a fraction of its size in memory (run with --slow; needs 5 GB of disk)."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lipforcing.checkpoints.safetensors_header import build_header
from lipforcing.checkpoints.sources import Spec

GIB = 1 << 30
LARGEST = 1 * GIB
PROGRAM = """
import resource, sys
import lipforcing.checkpoints as checkpoints
from lipforcing.checkpoints.convert import write_weights
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
weights = checkpoints.open_checkpoint(sys.argv[1]).weights
write_weights(weights, __import__("pathlib").Path(sys.argv[2]), sys.argv[3])
print(start * 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def sparse_file(path: Path) -> int:
    """3 GB of zeros that take no space on disk: one weight of 1 GB and many of 64 MB, in fp16; returns its size."""
    specs = {"blocks.0.ffn.0.weight": Spec((LARGEST // 2 // 4096, 4096), torch.float16)}
    for block in range(32):
        specs[f"blocks.{block}.self_attn.q.weight"] = Spec((8192, 4096), torch.float16)
    header, offsets = build_header(specs, {})
    size = max(offsets[name] + spec.nbytes for name, spec in specs.items())
    with open(path, "wb") as file:
        file.write(header)
        # Something to measure scales on.
        file.seek(offsets["blocks.0.ffn.0.weight"])
        file.write(struct.pack("<2e", 1.0, -2.0))
        file.truncate(size)
    return size


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["fp8_e4m3fn", "bf16"])
def test_peak_memory(tmp_path, dtype, record_property):
    source, out = tmp_path / "large.safetensors", tmp_path / "out.safetensors"
    size = sparse_file(source)
    assert size > 3 * GIB
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    arguments = [sys.executable, "-c", PROGRAM, source, out, dtype]
    run = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)
    start, peak = map(int, run.stdout.split())
    figures = f"{dtype}: {size / 1e9:.2f} GB in {time.monotonic() - began:.0f} s, peak {peak / 1e9:.2f} GB"
    print(f"{figures}, of which {start / 1e9:.2f} GB for Python and torch, largest tensor {LARGEST / 1e9:.2f} GB")
    record_property("memory", figures)
    assert peak < LARGEST + GIB
    assert peak - start < GIB // 2  # blocks of 64 MB, whatever the tensors' size
    assert out.stat().st_size > (size // 2 if dtype == "fp8_e4m3fn" else size - 4096)
    out.unlink()
