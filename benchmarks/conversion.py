"""Peak memory and time of converting a large checkpoint.

    python -m benchmarks.conversion --gigabytes 3.2 --folder SCRATCH

writes a synthetic file of transformer blocks (fp16, one weight of 1 GB, the others of 64 MB, nearly all zeros, so that
it takes no space on disk), converts it in a process of its own and prints a table. The result takes its size on disk.
"""

from __future__ import annotations

import argparse
import json
import struct
import tempfile
import time
from pathlib import Path

import torch

from lipforcing.checkpoints import open_checkpoint, write_weights
from lipforcing.checkpoints.safetensors_header import build_header
from lipforcing.checkpoints.sources import Spec
from lipforcing.stream.meter import peak_memory

from .common import hardware, measured, table

LARGEST = 1 << 30  # bytes of the largest tensor


def sparse_checkpoint(path: Path, gigabytes: float) -> int:
    """Write the synthetic file; returns its size in bytes."""
    largest, small = Spec((LARGEST // 2 // 4096, 4096), torch.float16), Spec((8192, 4096), torch.float16)
    blocks = max(1, round((gigabytes * 1e9 - LARGEST) / small.nbytes))
    specs = {"blocks.0.ffn.0.weight": largest} | {f"blocks.{i}.self_attn.q.weight": small for i in range(blocks)}
    header, offsets = build_header(specs, {})
    size = max(offsets[name] + spec.nbytes for name, spec in specs.items())
    with open(path, "wb") as file:
        file.write(header)
        # Something to measure scales on.
        file.seek(offsets["blocks.0.ffn.0.weight"])
        file.write(struct.pack("<2e", 1.0, -2.0))
        file.truncate(size)
    return size


def convert_once(source: Path, out: Path, dtype: str) -> dict:
    """Convert in this process: CPU seconds, and its peak memory before and after in bytes."""
    start, began = peak_memory(), time.process_time()
    write_weights(open_checkpoint(source).weights, out, dtype)
    return {"start": start, "peak": peak_memory(), "seconds": time.process_time() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.2, help="size of the synthetic file (default: 3.2)")
    parser.add_argument("--dtype", nargs="+", default=["fp8_e4m3fn", "bf16"], help="default: fp8_e4m3fn bf16")
    parser.add_argument("--folder", type=Path, help="where the files go (default: the temporary folder)")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--once", nargs=3, metavar=("SOURCE", "OUT", "DTYPE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        source, out, dtype = arguments.once
        print(json.dumps(convert_once(Path(source), Path(out), dtype)))
        return
    print(hardware())
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        source, out = Path(folder) / "large.safetensors", Path(folder) / "out.safetensors"
        size = sparse_checkpoint(source, arguments.gigabytes)
        for dtype in arguments.dtype:
            found = measured("benchmarks.conversion", ["--once", str(source), str(out), dtype], arguments.threads)
            figures = [size, out.stat().st_size, LARGEST, found["start"], found["peak"]]
            rows.append([dtype, *(f"{value / 1e9:.2f} GB" for value in figures), f"{found['seconds']:.0f} s"])
            out.unlink()
    print(table(["to", "file", "result", "largest tensor", "Python and torch", "peak memory", "CPU time"], rows))


if __name__ == "__main__":
    main()
