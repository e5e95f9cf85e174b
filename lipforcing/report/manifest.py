"""What a run was made with, so that it can be made again: versions, machine, choices, hashes of weights and inputs."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import av
import torch

from .. import __version__
from ..pipeline import SyncOptions
from ..stream.family import Family

BLOCK = 1 << 22  # bytes that are hashed at a time

_KNOWN: dict[tuple[Path, int, int], str] = {}  # by path, size and time of change


class Hashes:
    """SHA-256 of files, computed in a thread while something else is done; 28 GB take about a minute.

    What was computed is kept as long as the program runs, by path, size and time of change.

    Args:
        files: by what they are for; of a folder every file in it.
    """

    def __init__(self, files: Mapping[str, str | os.PathLike]) -> None:
        self._stop = threading.Event()
        self._hashed = 0  # bytes
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hashes")
        self._files = {role: path for given, place in files.items() for role, path in _inside(given, Path(place))}
        self._digests: dict[str, Future[str]] = {
            role: self._pool.submit(self._sha256, path) for role, path in self._files.items()
        }

    def close(self) -> None:
        """Stop, also half way."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def entries(self, waiting: Callable[[int, int], None] = lambda done, total: None) -> dict[str, dict]:
        """``file`` (its name), ``bytes`` and ``sha256`` of every file, by what it is for; waits until they are known.

        ``waiting`` is called again and again with bytes done and bytes in all; what it raises ends the wait.

        Raises:
            OSError: a file cannot be read any more.
        """
        total = sum(path.stat().st_size for path in self._files.values())
        while wait(self._digests.values(), timeout=0.1).not_done:
            waiting(self._hashed, total)
        return {
            role: {"file": path.name, "bytes": path.stat().st_size, "sha256": self._digests[role].result()}
            for role, path in self._files.items()
        }

    def _sha256(self, path: Path) -> str:
        about = path.stat()
        key = (path.absolute(), about.st_size, about.st_mtime_ns)
        if key in _KNOWN:
            self._hashed += about.st_size
            return _KNOWN[key]
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while (block := file.read(BLOCK)) and not self._stop.is_set():
                digest.update(block)
                self._hashed += len(block)
        if not self._stop.is_set():
            _KNOWN[key] = digest.hexdigest()
        return digest.hexdigest()


def _inside(role: str, path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        yield from ((f"{role}/{part.name}", part) for part in sorted(path.iterdir()) if part.is_file())
    else:
        yield role, path


def manifest(family: Family, options: SyncOptions, weights: Mapping[str, dict], inputs: Mapping[str, dict]) -> dict:
    """Plain values for JSON.

    ``software`` (of the pack, Python and libraries), ``machine``, ``precision`` and ``attention`` of the student,
    ``sigmas``, ``options`` (see ``SyncOptions``), ``weights`` and ``inputs`` (see ``Hashes.entries``).
    """
    device = family.device
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    network = getattr(family.student, "network", None)
    return {
        "software": {
            "lipforcing": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "av": av.__version__,
            "system": platform.system(),
        },
        "machine": {"device": str(device), "name": card, "cores": os.cpu_count()},
        "precision": str(family.dtype).removeprefix("torch."),
        "attention": network.blocks[0].self_attn.attention.__name__ if network is not None else "the host's",
        "sigmas": list(family.sigmas),
        "options": {name: value for name, value in asdict(options).items() if name != "check"},
        "weights": dict(weights),
        "inputs": dict(inputs),
    }
