"""Signals end a command, also where Python loses what they raise, and nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from lipforcing.cli import main
from lipforcing.cli.cancel import cancellable, check
from lipforcing.cli.common import Bar

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


class Dying:
    """Is asked to end while it is destroyed."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@posix
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_loses_is_raised_at_the_next_occasion():
    with cancellable():
        check()
        lost = Dying()
        del lost  # the exception is printed and dropped
        with pytest.raises(KeyboardInterrupt):
            Bar()(1, 2, None)
    with cancellable():
        check()  # the next command has not been asked


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command(name, monkeypatch, capsys):
    monkeypatch.setattr("lipforcing.cli.demo.command_demo", lambda _: os.kill(os.getpid(), getattr(signal, name)))
    before = signal.getsignal(getattr(signal, name))
    assert main(["demo"]) == 130
    assert "cancelled, nothing was written" in capsys.readouterr().err
    assert signal.getsignal(getattr(signal, name)) is before


@posix
def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with cancellable():
            os.kill(os.getpid(), signal.SIGHUP)
            check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_sets_no_handlers():
    before, seen = signal.getsignal(signal.SIGINT), []

    def run() -> None:
        with cancellable():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
