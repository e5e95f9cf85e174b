"""Which result belongs to which reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

VIDEOS = frozenset({".mp4", ".mkv", ".mov", ".m4v", ".avi", ".webm"})


@dataclass(frozen=True)
class Pair:
    """A result and its reference: video files of one stem."""

    stem: str
    result: Path
    reference: Path


def find_pairs(results: Path, reference: Path) -> tuple[list[Pair], list[str]]:
    """Pairs in the order of their names, and what is wrong with the rest, a sentence each.

    Raises:
        InputError: a folder is missing.
    """
    problems: list[str] = []
    made, wanted = (videos(folder, problems) for folder in (results, reference))
    for missing, (mine, others) in {"reference": (made, wanted), "result": (wanted, made)}.items():
        alone = [mine[stem].name for stem in sorted(mine.keys() - others.keys())]
        if alone:
            problems.append(f"no {missing} of this name: {', '.join(alone)}")
    return [Pair(stem, made[stem], wanted[stem]) for stem in sorted(made.keys() & wanted.keys())], problems


def videos(folder: Path, problems: list[str]) -> dict[str, Path]:
    """Video files of a folder by stem; of several with one stem the first counts and the others are named."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder that holds the videos.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in VIDEOS or path.name.startswith("."):
            continue
        if path.stem in found:
            problems.append(f"{path.name}: left out beside {found[path.stem].name} in {folder}")
        else:
            found[path.stem] = path
    return found
