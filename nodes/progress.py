"""A running node's progress: bar, line of text and live picture."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import host

if TYPE_CHECKING:
    from torch import Tensor

# Pictures cost an encode and a message each; more than this is not seen better.
PICTURES_PER_SECOND = 5


def remaining(seconds: float) -> str:
    """12.3 -> "13 s", 700 -> "11 min 40 s": rounded up to whole seconds."""
    whole = int(-(-seconds // 1))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


class FrameProgress:
    """Shows finished frames in the node that makes them; call it with (frames done, frames in all, picture).

    ``picture``: the newest finished frame, uint8 [H, W, 3] RGB. Every call is a cancel point: it raises the host's
    interrupt once the user has asked to stop.

    Args:
        node_id: of the running node, for the line of text.
    """

    def __init__(self, node_id: str):
        self._node_id = node_id
        self._report = host.progress_bar()
        self._began = time.monotonic()
        self._shown = 0.0

    def __call__(self, done: int, total: int, picture: Tensor) -> None:
        now = time.monotonic()
        if done < total and now - self._shown < 1 / PICTURES_PER_SECOND:
            self._report(done, total, None)
            return
        self._shown = now
        self._report(done, total, picture)
        speed = done / (now - self._began)
        host.show_text(
            f"{done}/{total} frames, {speed:.1f} per second, {remaining((total - done) / speed)} left", self._node_id
        )
