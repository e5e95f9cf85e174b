"""``lipforcing demo``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .common import Bar, add, add_device, device_choice, seed_choice


def add_commands(commands) -> None:
    """Add the command to the collection."""
    demo = add(
        commands, "demo", command_demo, "Lip-sync a bundled clip with the tiny model and measure it; needs no download."
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    demo.add_argument("--seed", type=int, default=42, help="seed of the noise (default: 42)")
    add_device(demo)


def command_demo(arguments: argparse.Namespace) -> None:
    """Lip-sync a bundled clip and measure it."""
    from ..tiny.demo import run_demo

    bar = Bar()
    demo = run_demo(arguments.out, seed_choice(arguments.seed), device_choice(arguments.device), bar)
    bar.close()
    result = demo.result
    print(f"{result.frames} frames at {result.fps:.1f} fps, first frame after {result.first_frame_seconds:.2f} s")
    print(f"{'':28s}source   result")
    rows = (
        ("mouth / speech correlation", demo.before.correlation, demo.after.correlation),
        ("Sync-C (tiny SyncNet)", demo.before.sync.padded.confidence, demo.after.sync.padded.confidence),
        ("Sync-D (tiny SyncNet)", demo.before.sync.padded.distance, demo.after.sync.padded.distance),
        ("AV offset in frames", demo.before.sync.padded.offset, demo.after.sync.padded.offset),
    )
    for name, before, after in rows:
        print(f"{name:26s}{before:8.2f} {after:8.2f}")
    for path in (result.path, demo.side_by_side, demo.plot):
        print(path)
