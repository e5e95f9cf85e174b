"""New files: refused before any work where they cannot be written, and then written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError

# What the check writes, to find a full disk.
_PROBE_BYTES = 1 << 16


def check_new_file(path: str | os.PathLike, sources: Sequence[str | os.PathLike | io.BytesIO] = ()) -> Path:
    """Say early that a file cannot be written: call before any work.

    Args:
        path: of the result; a file that is there already will be replaced.
        sources: the inputs, files or folders, which are never replaced.

    Raises:
        InputError: the folder is missing, cannot be written or has no room; the name is a folder's, a device's or too
            long; an input is there.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} of {path.name} does not exist; create it or choose another one.")
    with writing(path):
        present = _exists(path)
    if present and path.is_dir():
        raise InputError(f"{path} is a folder; give the name of the file to write in it.")
    if present and not path.is_file():
        raise InputError(f"{path} is a pipe or a device, not a file; choose another name for the output.")
    if present and any(_holds(source, path) for source in sources if not isinstance(source, io.BytesIO)):
        raise InputError(f"{path} is an input itself; choose another name for the output.")
    probe = temporary_beside(path)
    try:
        with writing(path):
            probe.write_bytes(bytes(_PROBE_BYTES))
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return path


def temporary_beside(path: Path) -> Path:
    """A name for a hidden file in the same folder: short, for that of the result may be as long as names can be."""
    return path.with_name(f".{secrets.token_hex(6)}.part")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system refuses while a file is written into one sentence.

    Raises:
        InputError: an OSError came.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "make room, or choose another folder"
        elif error.errno == errno.ENAMETOOLONG:
            remedy = "choose a shorter name"
        else:
            remedy = f"check that files can be made in {path.parent}, or choose another folder"
        raise InputError(f"{path} cannot be written ({reason}); {remedy}.") from error


@contextmanager
def new_file(path: str | os.PathLike, sources: Sequence[str | os.PathLike] = (), size: int = 0) -> Iterator[Path]:
    """The path of a hidden file that takes the place of ``path`` when the block ends well, and vanishes else.

    Args:
        path, sources: see :func:`check_new_file`.
        size: bytes that will be written, to refuse a full disk beforehand.

    Raises:
        InputError: as :func:`check_new_file`; writing fails; there is less room than ``size``.
    """
    path = check_new_file(path, sources)
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise InputError(f"{path.name} needs {size / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free; make room.")
    temporary = temporary_beside(path)
    try:
        with writing(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _holds(source: str | os.PathLike, path: Path) -> bool:
    """Whether ``path`` is a source, or a file in a folder that is one."""
    source = Path(source)
    if not source.exists() or not path.exists():
        return False
    return os.path.samefile(source, path) or (source.is_dir() and source.resolve() in path.resolve().parents)
