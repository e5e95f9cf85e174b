"""Peak memory and time of embedding a prompt with an encoder of UMT5-XXL's size.

    python -m benchmarks.text_encoder --folder SCRATCH

writes a synthetic encoder in bfloat16 (11.4 GB of zeros, which take no space on disk) and encodes a few tokens in a
process of its own. Memory and time do not depend on the values.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from lipforcing.checkpoints import open_checkpoint
from lipforcing.checkpoints.safetensors_header import build_header
from lipforcing.checkpoints.sources import Spec
from lipforcing.checkpoints.umt5 import UMT5Size
from lipforcing.stream.meter import peak_memory
from lipforcing.text import encode_tokens

from .common import hardware, measured, table

XXL = UMT5Size(
    vocabulary=256384, width=4096, layers=24, heads=64, head_width=64, feed_forward=10240, buckets=32
)  # docs/model.md, Text


def sparse_encoder(path: Path) -> int:
    """Write the synthetic file; returns its size in bytes."""
    specs = {name: Spec(shape, torch.bfloat16) for name, shape in XXL.shapes().items()}
    header, offsets = build_header(specs, {})
    end = max(offsets[name] + spec.nbytes for name, spec in specs.items())
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(end)
    return end


def encode_once(source: Path, tokens: int) -> dict:
    """Encode in this process: CPU seconds, and its peak memory before and after in bytes."""
    from transformers import UMT5EncoderModel  # so that its memory counts as the start

    assert UMT5EncoderModel
    start, began = peak_memory(), time.process_time()
    encode_tokens(open_checkpoint(source), list(range(tokens)))
    return {"start": start, "peak": peak_memory(), "seconds": time.process_time() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[4, 512], help="default: 4 512")
    parser.add_argument("--folder", type=Path, help="where the file goes (default: the temporary folder)")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--once", nargs=2, metavar=("SOURCE", "TOKENS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        source, tokens = arguments.once
        print(json.dumps(encode_once(Path(source), int(tokens))))
        return
    print(hardware())
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        source = Path(folder) / "encoder.safetensors"
        size = sparse_encoder(source)
        for tokens in arguments.tokens:
            found = measured("benchmarks.text_encoder", ["--once", str(source), str(tokens)], arguments.threads)
            figures = [f"{value / 1e9:.2f} GB" for value in (size, found["start"], found["peak"])]
            rows.append([tokens, *figures, f"{found['seconds']:.0f} s"])
    print(table(["tokens", "file", "Python, torch, transformers", "peak memory", "CPU time"], rows))


if __name__ == "__main__":
    main()
