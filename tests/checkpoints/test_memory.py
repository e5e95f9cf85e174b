"""Large checkpoints need little memory and few open files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.common import ROOT, measured
from benchmarks.conversion import LARGEST, sparse_checkpoint
from lipforcing.checkpoints import Kind
from lipforcing.checkpoints.catalog import expected_shapes

from . import samples

GIB = 1 << 30
STUDENT = replace(samples.WAN, ffn_dim=64, num_layers=40)

# In a process of its own, since what it limits and measures is the process's.
LOAD = """
import json, os, resource, sys
from lipforcing.stream.meter import peak_memory
from lipforcing.checkpoints import Kind, load_module, open_checkpoint

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
load_module(sys.argv[1], Kind.STUDENT)  # what is imported on the way is not counted
files, peak = len(os.listdir("/dev/fd")), peak_memory()
kept, found = [], {}
for path in sys.argv[2:]:
    weights = dict(open_checkpoint(path, Kind.STUDENT).weights)
    network, checkpoint = load_module(path, Kind.STUDENT)
    kept += [weights, network]
    found[checkpoint.file.format] = [len(weights), sum(parameter.nbytes for parameter in network.parameters())]
print(json.dumps({"found": found, "files": len(os.listdir("/dev/fd")) - files, "memory": peak_memory() - peak}))
"""


def load(*paths) -> dict:
    """Load files into networks and keep all; tensors and bytes by format, files left open, growth of peak memory."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOAD, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_as_many_tensors_as_the_released_student_has_with_256_open_files(tmp_path, write):
    import torch.distributed.checkpoint as dcp

    shapes = expected_shapes(Kind.STUDENT, STUDENT)
    tensors = {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in shapes.items()}
    assert len(tensors) == 1137
    paths = [tmp_path / name for name in ("a.pth", "legacy.pth", "a.safetensors", "dcp", "shards")]
    torch.save(tensors, paths[0])
    torch.save(tensors, paths[1], _use_new_zipfile_serialization=False)
    save_file(tensors, paths[2])
    dcp.save({f"net.{name}": tensor for name, tensor in tensors.items()}, checkpoint_id=paths[3])
    paths[4].mkdir()
    for i in range(3):
        part = dict(list(tensors.items())[i::3])
        save_file(part, paths[4] / f"model-{i + 1:05d}-of-00003.safetensors")
    done = load(write(samples.student(), "small.safetensors"), *paths)
    nbytes = sum(tensor.nbytes for tensor in tensors.values())
    formats = ("torch zip", "torch legacy", "safetensors", "distributed", "safetensors shards")
    assert done["found"] == {format: [1137, nbytes] for format in formats}
    assert done["files"] == 0


def test_the_released_students_size_in_little_memory(released, write):
    done = load(write(samples.student()), released())
    assert done["found"] == {"torch zip": [1137, 2 * 14_294_081_696]}
    assert done["memory"] < GIB // 4
    assert done["files"] <= 4  # some where the system refuses to map 28 GB for writing, else none


@pytest.mark.slow  # needs 5 GB of disk
@pytest.mark.parametrize("dtype", ["fp8_e4m3fn", "bf16"])
def test_peak_memory_of_converting(tmp_path, dtype, record_property):
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
