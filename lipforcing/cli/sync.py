"""``lipforcing sync``."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from ..errors import InputError
from ..faces.selection import FaceChoice
from .cancel import check
from .common import (
    Bar,
    add,
    add_device,
    add_face,
    check_face,
    device_choice,
    each,
    face_choice,
    seed_choice,
    window_choice,
)
from .models import add_manner, add_models, load_family, manner_choice
from .report import Reporter, add_report

DRAWN_FACES_ONLY = (
    "note: the tiny model was trained on drawn faces; on a camera recording it shows that everything works, "
    "not how good lip sync looks. Use the released 14B student for that (see the README)."
)


def add_commands(commands) -> None:
    """Add the command to the collection."""
    sync = add(commands, "sync", command_sync, "Lip-sync a video to a speech recording.")
    sync.add_argument("video", help="video file with talking faces")
    sync.add_argument("audio", nargs="?", help="speech of the face that --face names: an audio or video file")
    sync.add_argument(
        "--speaker",
        action="append",
        default=[],
        metavar="AUDIO@FACE",
        help="one more speaker: a speech, and whose it is, as --face says it; may be repeated",
    )
    sync.add_argument("--mix", metavar="FILE", help="sound of the result (default: what all speakers say, mixed)")
    sync.add_argument("-o", "--out", type=Path, required=True, help="result: .mp4, .mov or .mkv")
    add_models(sync)
    sync.add_argument("--seed", type=int, default=42, help="seed of the noise (default: 42)")
    add_device(sync)
    add_face(sync)
    add_manner(sync)
    sync.add_argument(
        "--length",
        choices=("audio", "video", "silence"),
        default="audio",
        help=(
            "how long the result is: audio, as long as the speech; video, as long as the video; silence, as long as "
            "the longer of them, with silence after a shorter speech (default: audio)"
        ),
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
    sync.add_argument(
        "--keep-partial",
        action="store_true",
        help="keep what is finished when the run is cancelled; a .mkv can then also be watched while it grows",
    )
    add_report(sync)
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


def speaker_choices(arguments: argparse.Namespace) -> list[tuple[str, FaceChoice]]:
    """Who speaks: a sound file and a face each."""
    speakers = [(arguments.audio, face_choice(arguments.face))] if arguments.audio else []
    for text in arguments.speaker:
        path, at, face = text.rpartition("@")
        if not at or not path:
            missing = "face" if path or not at else "sound"
            raise InputError(
                f"--speaker {text} names no {missing}; give AUDIO@FACE, as in talk.wav@0, talk.wav@640,200."
            )
        speakers.append((path, face_choice(face)))
    if not speakers:
        raise InputError("There is no speech; give an audio file after the video, or --speaker AUDIO@FACE.")
    return speakers


def command_sync(arguments: argparse.Namespace) -> None:
    """Lip-sync a video to a recording."""
    from ..faces.selection import followers_for
    from ..media import AudioSource, DurationPolicy, Mix, VideoReader, check_output, counted, encoding_for
    from ..pipeline import SyncOptions, planned, sync_file

    device = device_choice(arguments.device)
    speakers = speaker_choices(arguments)
    window = window_choice(arguments.start, arguments.limit)
    options = SyncOptions(
        seed_choice(arguments.seed),
        DurationPolicy(arguments.length, arguments.fill),
        arguments.lossless,
        arguments.quality,
        arguments.video_codec,
        manner=manner_choice(arguments),
        keep_partial=arguments.keep_partial,
        audit=arguments.report,
        check=check,
    )
    bar = Bar()
    with VideoReader(arguments.video, *window) as video:
        for _, face in speakers:
            check_face(face, video.info.width, video.info.height)
        said = [AudioSource(path, *window) for path, _ in speakers]
        audio = AudioSource(arguments.mix, *window) if arguments.mix else said[0] if len(said) == 1 else Mix(said)
        sources = (video.source, arguments.mix or said[0].source, *(one.source for one in said))
        check_output(arguments.out, sources)
        reporter = Reporter(arguments, sources, device) if arguments.report else None
        encoding = encoding_for(
            arguments.out,
            video.info.pictures,
            codec=options.video_codec,
            quality=options.quality,
            lossless=options.lossless,
        )
        print(f"{arguments.out}: {planned(video, audio, options.duration).description}")
        print(f"It is {encoding.description}")
        family = load_family(arguments, device)

        def follower():
            return followers_for([face for _, face in speakers], arguments.detector, device, family.layout)

        try:
            with reporter or nullcontext():
                callbacks = [bar] if reporter is None else [bar, reporter]
                result = sync_file(family, video, audio, arguments.out, follower(), options, each(callbacks), said)
                bar.close()
                page = reporter and reporter.write(family, options, encoding, result, video, said, follower())
        except KeyboardInterrupt:
            if arguments.keep_partial and bar.done:
                raise KeyboardInterrupt(f"{arguments.out} ends after {counted(bar.done)}") from None
            raise
        except InputError as error:
            if arguments.keep_partial and bar.done:
                raise InputError(
                    f"{error} What was finished is kept: {counted(bar.done)} in {arguments.out}."
                ) from error
            raise
        finally:
            bar.close()
    print(f"{result.path}: {result.description}")
    print(f"{result.fps:.1f} frames per second, first frame after {result.first_frame_seconds:.2f} s")
    if page:
        print(f"The report is {page}")
    if arguments.model == "tiny":
        print(DRAWN_FACES_ONLY, file=sys.stderr)
