"""Open any file or folder of weights by its content, without running code from it and without loading it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from ..errors import InputError
from .distributed import METADATA, read_distributed
from .pickles import PICKLE_BYTES, PICKLE_START, read_pickle
from .safetensors_header import looks_like_safetensors, read_header
from .sources import Spec, TensorSource
from .storage import File, Sharded, Stored
from .torch_files import LEGACY_START, ZIP_START, read_legacy, read_zip

FOREIGN_STARTS = {
    b"GGUF": "a GGUF file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUM": "a NumPy array",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"RIFF": "a WAV or AVI file",
    b"ID3": "an MP3 file",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    b"<!DOCTYPE": "a web page (a failed download)",
    b"<html": "a web page (a failed download)",
}
FOLDER_CONFIG = "config.json"  # Hugging Face's; its text is offered as metadata of that name
FOLDER_CONFIG_BYTES = 1 << 20
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.safetensors$")


class TensorFile(TensorSource):
    """The tensors of one file or folder of weights; nothing but shapes and dtypes is loaded at first.

    ``file[name]`` is backed by the file: pages come in when they are used and can be dropped again by the system, so a
    28 GB file does not need 28 GB of memory. ``file.rows(name, start, stop)`` reads into memory.

    Attributes:
        path: file or folder.
        format: "safetensors", "torch zip", "torch legacy", "distributed" or "safetensors shards".
        metadata: text entries (safetensors only).
        size: bytes of all files together.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        tensors: Mapping[str, Stored | Sharded],
        metadata: Mapping[str, str] | None = None,
        size: int = 0,
    ) -> None:
        self.path = path
        self.format = format
        self.metadata = metadata or {}
        self.label = path.name
        self.size = size
        self._tensors = dict(tensors)

    def spec(self, name: str) -> Spec:
        return self._tensors[name].spec

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        return self._tensors[name].rows(start, stop)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name].map()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def open_tensors(path: str | Path) -> TensorFile:
    """Open weights by content: safetensors, ``torch.save`` files, distributed checkpoints, folders of shards.

    No code in the file is run, nothing is decompressed, and only the list of tensors is read.

    Args:
        path: a file, an index of safetensors shards, or a folder that holds a distributed checkpoint, shards with
            their index, or a single weights file.

    Raises:
        InputError: missing, truncated, damaged, malicious, or not a file of tensors.
    """
    path = Path(path)
    # Beside consolidated student files the trainer keeps the distributed checkpoint in a folder of this name.
    if not path.exists() and path.with_suffix(".net_model").is_dir():
        path = path.with_suffix(".net_model")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    try:
        if path.is_dir():
            return _open_folder(path)
        if path.name.endswith(".index.json"):
            return _open_index(path)
        return _open_file(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); check the file and its access rights"
        ) from None


def _open_file(path: Path) -> TensorFile:
    file = File(path)
    start = file.read(0, 64)
    if not start:
        raise InputError(f"{path.name} is empty; copy or download it again")
    if start.startswith(ZIP_START):
        return TensorFile(path, "torch zip", read_zip(file), size=file.size)
    if start.startswith(LEGACY_START):
        return TensorFile(path, "torch legacy", read_legacy(file), size=file.size)
    if looks_like_safetensors(start):
        tensors, metadata = read_header(file)
        if not tensors:
            raise InputError(f"{path.name} holds no tensors; expected a checkpoint")
        return TensorFile(path, "safetensors", tensors, metadata, file.size)
    for foreign, what in FOREIGN_STARTS.items():
        if start.startswith(foreign):
            raise InputError(f"{path.name} is {what}; expected safetensors or a PyTorch checkpoint")
    if start.startswith(PICKLE_START):
        read_pickle(io.BytesIO(file.read(0, PICKLE_BYTES)), file)
        raise InputError(f"{path.name} is a bare pickle, not written by torch.save; save it as safetensors")
    raise InputError(f"{path.name} is neither safetensors nor a PyTorch checkpoint, or it is damaged; check the file")


def _open_folder(folder: Path) -> TensorFile:
    if (folder / METADATA).is_file():
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        return TensorFile(folder, "distributed", read_distributed(folder), size=size)
    tensors = _open_weights_in(folder)
    config = folder / FOLDER_CONFIG
    if config.is_file() and config.stat().st_size <= FOLDER_CONFIG_BYTES:
        tensors.metadata = {**tensors.metadata, FOLDER_CONFIG: config.read_text("utf-8", "replace")}
    return tensors


def _open_weights_in(folder: Path) -> TensorFile:
    indices = sorted(folder.glob("*.index.json"))
    if indices:
        return _open_index(indices[0])
    files = sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".pth", ".pt", ".bin"))
    # Hugging Face folders often hold the same weights in both formats.
    files = [file for file in files if file.suffix == ".safetensors"] or files
    if files and all(SHARD.search(file.name) for file in files):
        return _open_shards(folder, files)
    if len(files) == 1:
        return _open_file(files[0])
    found = f"{len(files)} weight files" if files else "no weights"
    raise InputError(f"folder {folder.name} holds {found}; name one file, or a folder with one checkpoint")


def _open_index(index: Path) -> TensorFile:
    """Shards listed by an index file, the names taken from the shards themselves."""
    try:
        table = json.loads(File(index).read(0, PICKLE_BYTES))["weight_map"]
        names = sorted({Path(shard).name for shard in table.values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{index.name} is not an index of safetensors shards; name the weights file") from None
    tensors = _open_shards(index.parent, [index.parent / name for name in names])
    missing = [name for name in table if name not in tensors]
    if missing:
        raise InputError(f"{index.name} lists {missing[0][:100]!r}, which no shard has; copy all shards again")
    return tensors


def _open_shards(folder: Path, files: list[Path]) -> TensorFile:
    tensors: dict[str, Stored] = {}
    metadata: dict[str, str] = {}
    counts = {match.group(2) for file in files if (match := SHARD.search(file.name))}
    absent = [file.name for file in files if not file.is_file()]
    if absent or (counts and counts != {f"{len(files):05d}"}):
        missing = absent[0] if absent else f"some of {counts.pop()} shards"
        raise InputError(f"folder {folder.name} is incomplete: {missing} missing; copy all shards")
    for file in files:
        more, text = read_header(File(file))
        twice = next((name for name in more if name in tensors), None)
        if twice:
            raise InputError(
                f"{file.name}: tensor {twice[:100]!r} is in another shard, too; keep one checkpoint per folder"
            )
        tensors |= more
        metadata |= text
    return TensorFile(folder, "safetensors shards", tensors, metadata, sum(file.stat().st_size for file in files))
