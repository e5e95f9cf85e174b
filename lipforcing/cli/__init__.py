"""Command line: ``lipforcing COMMAND ...``; ``lipforcing COMMAND -h`` explains each. One module per topic."""

from __future__ import annotations

import argparse
import sys

from ..errors import InputError
from . import bench, demo, evaluate, live, score, sync, text, weights

TOPICS = (demo, sync, live, score, evaluate, text, weights, bench)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="lipforcing", description="Lip synchronization with causal video diffusion.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for topic in TOPICS:
        topic.add_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 on success, 2 with one sentence on stderr for a problem with the input."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except InputError as error:
        print(f"lipforcing: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lipforcing: cancelled, nothing was written", file=sys.stderr)
        return 130
    return 0
