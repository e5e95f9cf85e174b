"""Command line: ``lipforcing COMMAND ...``; ``lipforcing COMMAND -h`` explains each. One module per topic."""

from __future__ import annotations

import argparse
import io
import sys

from ..errors import InputError
from . import analyze, bench, demo, evaluate, live, prepare, score, sync, text, train, weights
from .cancel import cancellable

TOPICS = (demo, sync, live, score, evaluate, text, weights, prepare, train, analyze, bench)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="lipforcing", description="Lip synchronization with causal video diffusion.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for topic in TOPICS:
        topic.add_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 on success, 2 with one sentence on stderr for a problem with the input.

    Being asked to end (SIGTERM) or to hang up (SIGHUP) cancels a run as Ctrl-C does, and removes what is half done.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show is no failure
    arguments = build_parser().parse_args(argv)
    with cancellable():
        try:
            arguments.run(arguments)
        except InputError as error:
            print(f"lipforcing: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt as stop:
            print(f"lipforcing: cancelled, {str(stop) or 'nothing was written'}", file=sys.stderr)
            return 130
    return 0
