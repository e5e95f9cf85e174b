"""What to say of files that are not whole: how much is missing, and of which published file, told by its size."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from .storage import File

OVERHEAD = 1024  # bytes that torch.save's archives take per tensor besides its data, at most


@dataclass(frozen=True)
class Release:
    """A published file: its name, its size in bytes and what it is."""

    name: str
    nbytes: int
    what: str


RELEASES = (
    Release("lipforcing_14b.pth", 28_588_528_943, "the Lip Forcing student, 14B"),
    Release("models_t5_umt5-xxl-enc-bf16.pth", 11_361_920_418, "the UMT5-XXL text encoder"),
    Release("Wan2.1_VAE.pth", 507_609_880, "the Wan 2.1 VAE"),
    Release("model.safetensors", 377_607_901, "wav2vec2-base-960h"),
    Release("taew2_1.pth", 22_678_901, "TAEHV for Wan 2.1"),
)


def check_size(file: File, needed: int, tensors: int = 0) -> None:
    """Raise InputError where a file is smaller than its beginning announces.

    Args:
        file: the file.
        needed: bytes that it should have; where ``tensors`` is given, without what an archive takes for each.
        tensors: how many it holds.
    """
    release = next((one for one in RELEASES if 0 <= one.nbytes - needed <= OVERHEAD * tensors), None)
    whole = release.nbytes if release else needed
    if file.size < whole:
        of = f" of {release.name} ({release.what})" if release else ""
        raise InputError(
            f"{file.label} is truncated: {_share(file.size, whole)}{of}, {whole - file.size:,} bytes are missing: "
            "the download is incomplete; continue it, or copy or download the file again"
        )


def damaged(file: File, found: str) -> InputError:
    """What to say of a file whose beginning does not tell its size: what was found, and what its name suggests."""
    release = next((one for one in RELEASES if one.name == file.path.name and one.nbytes > file.size), None)
    hint = f" ({_share(file.size, release.nbytes)} if it is {release.what})" if release else ""
    return InputError(f"{file.label} is truncated or damaged: {found}{hint}; copy or download it again")


def _share(size: int, whole: int) -> str:
    """For example "21.3 of 28.6 GB"."""
    unit, name = (1e9, "GB") if whole >= 1e9 else (1e6, "MB")
    return f"{size / unit:.1f} of {whole / unit:.1f} {name}"
