"""``lipforcing sync``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .common import Bar, add, add_device, add_face, device_choice, face_choice, window_choice
from .models import add_manner, add_models, load_family, manner_choice

DRAWN_FACES_ONLY = (
    "note: the tiny model was trained on drawn faces; on a camera recording it shows that everything works, "
    "not how good lip sync looks. Use the released 14B student for that (see the README)."
)


def add_commands(commands) -> None:
    """Add the command to the collection."""
    sync = add(commands, "sync", command_sync, "Lip-sync a video to a speech recording.")
    sync.add_argument("video", help="video file with one talking face")
    sync.add_argument("audio", help="speech: an audio file, or a video file with sound")
    sync.add_argument("-o", "--out", type=Path, required=True, help="result: .mp4, .mov or .mkv")
    add_models(sync)
    sync.add_argument("--seed", type=int, default=42, help="seed of the noise (default: 42)")
    add_device(sync)
    add_face(sync)
    add_manner(sync)
    sync.add_argument(
        "--length",
        choices=("audio", "video"),
        default="audio",
        help="what decides the output's length (default: audio)",
    )
    sync.add_argument(
        "--fill",
        choices=("pingpong", "loop", "hold"),
        default="pingpong",
        help="how a video that is shorter than the audio goes on (default: pingpong)",
    )
    sync.add_argument(
        "--start",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="begin this far into the video, and as far into the speech (default: 0)",
    )
    sync.add_argument("--limit", type=float, metavar="SECONDS", help="stop after this much of both (default: the end)")
    sync.add_argument("--lossless", action="store_true", help="write exactly the finished pixels (large files)")
    sync.add_argument(
        "--quality",
        type=float,
        metavar="CRF",
        help="0 to 51 on x264's scale, lower is better (default: 16, hardly to be told from the source)",
    )
    sync.add_argument(
        "--video-codec",
        choices=("auto", "h264", "hevc", "prores", "vp9", "ffv1"),
        default="auto",
        help="auto: H.264, HEVC above 8 bits, ProRes or VP9 where the source is transparent (default: auto)",
    )


def command_sync(arguments: argparse.Namespace) -> None:
    """Lip-sync a video to a recording."""
    from ..faces.selection import follower_for
    from ..media import AudioSource, DurationPolicy, VideoReader
    from ..pipeline import SyncOptions, sync_file

    device = device_choice(arguments.device)
    face = face_choice(arguments.face)
    window = window_choice(arguments.start, arguments.limit)
    options = SyncOptions(
        arguments.seed,
        DurationPolicy(arguments.length, arguments.fill),
        arguments.lossless,
        arguments.quality,
        arguments.video_codec,
        manner=manner_choice(arguments),
    )
    with VideoReader(arguments.video, *window) as video:
        audio = AudioSource(arguments.audio, *window)
        follower = follower_for(face, arguments.detector, device)
        family = load_family(arguments, device)
        bar = Bar()
        result = sync_file(family, video, audio, arguments.out, follower, options, bar)
        bar.close()
    print(f"{result.path}: {result.plan.description}")
    if result.untouched:
        print(f"{result.untouched} of {result.frames} frames have no usable face and are the source's own.")
    print(f"{result.fps:.1f} frames per second, first frame after {result.first_frame_seconds:.2f} s")
    if arguments.model == "tiny":
        print(DRAWN_FACES_ONLY, file=sys.stderr)
