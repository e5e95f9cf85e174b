"""``lipforcing prepare``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from ..errors import InputError
from .common import add, face_choice


def add_commands(commands) -> None:
    """Add the command to the collection."""
    prepare = add(
        commands, "prepare", command_prepare, "Make training samples of a folder of videos (docs/training.md)."
    )
    prepare.add_argument("videos", type=Path, metavar="VIDEOS_DIR", help="videos, or samples in the reference's layout")
    prepare.add_argument("out", type=Path, metavar="OUT", help="samples, list and report")
    prepare.add_argument("--frames", type=int, default=81, help="of a sample, 1 + 4 k (default: 81)")
    prepare.add_argument("--face", default="auto", help="as in lipforcing sync (default: auto)")
    prepare.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    prepare.add_argument("--least-size", type=float, default=0.5, help="of a face, in crop heights (default: 0.5)")
    prepare.add_argument("--least-sync", type=float, help="Sync-C (default: 3 by SyncNet v2, clear by the tiny one)")
    prepare.add_argument("--most-offset", type=int, default=6, help="frames between picture and sound (default: 6)")
    prepare.add_argument("--least-sharpness", type=float, default=1.0, help="levels (default: 1)")
    prepare.add_argument("--syncnet", metavar="FILE", help="syncnet_v2.model (default: tiny, for drawn faces alone)")
    prepare.add_argument("--codec", metavar="FILE", help="Wan 2.1 VAE (default: the tiny codec)")
    prepare.add_argument("--audio-encoder", metavar="FILE", help="wav2vec2-base-960h (default: log-mel)")
    prepare.add_argument("--text-embeds", metavar="FILE", dest="text", help="UMT5 embedding of the prompt")


def command_prepare(arguments: argparse.Namespace) -> None:
    """Prepare videos and say what came of them."""
    from ..distill.prepare import Settings, outcome, prepare

    if arguments.frames < 5 or arguments.frames % 4 != 1:
        raise InputError(f"--frames {arguments.frames} is no whole number of latent frames; give 1 + 4 k, such as 81.")
    if arguments.workers < 1:
        raise InputError(f"--workers {arguments.workers} does nothing; give 1 or more.")
    names = ("frames", "least_size", "least_sync", "most_offset", "least_sharpness", "syncnet", "codec")
    given = {name: getattr(arguments, name) for name in (*names, "audio_encoder", "text")}
    settings = Settings(face=face_choice(arguments.face), **given)
    with tqdm(desc="prepare", unit="video") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            rows = prepare(arguments.videos, arguments.out, settings, arguments.workers, progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on with the video it was at") from None
    for reason, count in outcome(rows).items():
        print(f"{count:5d} {reason}")
    print(arguments.out / "report.json")
