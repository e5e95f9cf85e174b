"""Being asked to end: Ctrl-C and its kin raise KeyboardInterrupt, also where Python loses the exception.

What a signal raises while a destructor or a C library's callback runs is printed and dropped. So it is remembered, and
:func:`check` raises it once more; progress and waiting call that.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")

_asked = threading.Event()


def check() -> None:
    """Raises KeyboardInterrupt if the command that runs was asked to end."""
    if _asked.is_set():
        raise KeyboardInterrupt


@contextmanager
def cancellable() -> Iterator[None]:
    """Within the block signals ask to end, those that exist here and are not ignored (nohup ignores SIGHUP)."""
    _asked.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {one: signal.getsignal(one) for one in signals}
    for one, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(one, _ask)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _ask(*_) -> None:
    _asked.set()
    raise KeyboardInterrupt
