"""What is made once: folders whose names tell everything that went into them.

A folder appears whole or not at all. What is made from other seeds, counts, sizes, code or weights has another name, so
nothing is ever taken for what it is not; folders that no run needs any more can be removed by hand.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from .parallel import barrier, rank

ABOUT = "made_of.json"


def fingerprint(what: Mapping) -> str:
    """16 hexadecimal digits for plain values, equal for equal ones."""
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def weights_hash(module: nn.Module) -> str:
    """16 hexadecimal digits for the weights and buffers of a module."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(module.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def code_hash(package: ModuleType) -> str:
    """16 hexadecimal digits for the source of a package."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(package.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def made(root: Path, name: str, what: Mapping, make: Callable[[Path], None]) -> Path:
    """The folder ``root/name-<fingerprint of what>``, made by ``make(folder)`` where it is not there.

    Under several ranks the first one makes it, and the others wait.
    """
    folder = root / f"{name}-{fingerprint(what)}"
    if rank() == 0 and not folder.is_dir():
        partial = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was cut off
        partial.mkdir(parents=True)
        make(partial)
        (partial / ABOUT).write_text(json.dumps(what, indent=1, default=str))
        partial.rename(folder)
    barrier()
    return folder
