"""Results in the temporary folder: kept while there is room, so that a value in the cache of the host has its file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Hashable
from pathlib import Path

from . import host

ROOM = 4 << 30  # bytes that results may take together


class Results:
    """Which files nodes made, for which values; beyond `room` the oldest go.

    A host keeps what a node gave and gives it again when asked for the same. It asks `token` first, and runs the node
    anew where that changed: where a file is gone, through us or through whoever tidied up the folder.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._paths: dict[Hashable, list[Path]] = {}
        self._asked: dict[str, Hashable] = {}

    def token(self, node: str, values: dict) -> int:
        """How many results of a node with these values are gone; values of inputs that are wired are not known yet."""
        plain = {name: value for name, value in values.items() if isinstance(value, (str, int, float, bool))}
        self._asked[node] = node, tuple(sorted(plain.items()))
        return sum(not path.exists() for path in self._paths.get(self._asked[node], ()))

    def new(self, node: str, stem: str, suffix: str = ".mp4") -> Path:
        """A path for the next result of a node. Where room is needed, what was made for values that no node was asked
        for last goes first; what the running prompt uses stays.
        """
        self._make_room()
        path = Path(host.temp_path(stem, suffix))
        self._paths.setdefault(self._asked.get(node, node), []).append(path)
        return path

    def _make_room(self) -> None:
        in_use = set(self._asked.values())
        there = [(path, key) for key, paths in self._paths.items() for path in paths if path.exists()]
        sizes = {path: path.stat().st_size for path, _ in there}
        total = sum(sizes.values())
        for path, key in sorted(there, key=lambda one: one[0].stat().st_mtime):
            if total <= self._room:
                return
            if key not in in_use:
                with contextlib.suppress(OSError):  # Windows, while somebody reads it
                    os.remove(path)
                    total -= sizes[path]


RESULTS = Results()
