"""The frozen instruments ``v1``: the 52 evaluation clips, the mouth meter and the SyncNet that targets are measured on.

    python -m benchmarks.instruments            # compare with instruments_v1.json; what differs is named
    python -m benchmarks.instruments --write    # freeze anew: only for a new version

The table has, for every clip of ``tiny_student``, hashes of its sound, its two mouth tracks and the first and last
picture of both versions, and hashes of the two weights files. The sound depends on espeak-ng, the last bits of pictures
on the processor's vector instructions, so the table names both. Whatever is trained later is measured with these; new
instruments stand beside them.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lipforcing.drawn import espeak_worker
from lipforcing.tiny import family

from .tiny_student import CLIPS, clip

TABLE = Path(__file__).with_name("instruments_v1.json")
NETWORKS = ("meter", "syncnet")


def espeak_version() -> str | None:
    """Of the installed library, "1.51" for instance; None where there is none."""
    try:
        library = ctypes.CDLL(espeak_worker.LIBRARY)
    except OSError:
        return None
    library.espeak_Info.restype = ctypes.c_char_p
    return library.espeak_Info(None).decode().split()[0]


def processor() -> str:
    """The vector instructions that torch uses."""
    return torch.backends.cpu.get_cpu_capability()


def digest(data: bytes) -> str:
    """16 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def clip_hashes(i: int) -> dict[str, str]:
    """Hashes of clip ``i``, by what they are of."""

    def of(tensor: Tensor) -> str:
        return digest(tensor.contiguous().numpy().tobytes())

    made = clip(i)
    hashes = {"speech": of(made.said.waveform)}
    for version, mouth in made.mouths.items():
        pictures = made.pictures(version)
        hashes |= {f"{version} mouth": of(mouth), f"{version} pictures": of(pictures[[0, -1]])}
    return hashes


def network_hashes() -> dict[str, str]:
    """Hashes of the weights files."""
    return {name: digest(family.weights_path(name).read_bytes()) for name in NETWORKS}


def frozen() -> dict:
    """The committed table."""
    return json.loads(TABLE.read_text())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table instead of comparing with it")
    write = parser.parse_args().write
    clips = {str(i): clip_hashes(i) for i in tqdm(range(CLIPS))}
    found = {
        "version": "v1",
        "espeak-ng": espeak_version(),
        "processor": processor(),
        "networks": network_hashes(),
        "clips": clips,
    }
    if write:
        TABLE.write_text(json.dumps(found, indent=1) + "\n")
        return
    wanted = frozen()
    other = [key for key in wanted if key != "clips" and found[key] != wanted[key]]
    other += [f"clip {i}" for i in clips if clips[i] != wanted["clips"][i]]
    print("as frozen" if not other else f"not as frozen: {', '.join(other)}")


if __name__ == "__main__":
    main()
