"""``lipforcing live``."""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from ..output import check_new_file
from .common import add, add_device, add_face, check_face, device_choice, face_choice, seed_choice
from .models import add_manner, add_models, load_family, manner_choice

EXAMPLE = 'espeak-ng --stdout "Hello, I can talk." | lipforcing live clip.mp4 | ffplay -'


def add_commands(commands) -> None:
    """Add the command to the collection."""
    live = add(
        commands, "live", command_live, f"Let a clip say what comes in on standard input, as it comes: {EXAMPLE}"
    )
    live.add_argument("video", help="the clip that idles and talks")
    live.add_argument("-o", "--out", type=Path, metavar="FILE", help="write MPEG-TS here instead of standard output")
    live.add_argument("--rate", type=int, default=16_000, help="of sound without a WAV header (default: 16000)")
    live.add_argument("--channels", type=int, default=1, help="of sound without a WAV header (default: 1)")
    live.add_argument(
        "--delay", type=float, metavar="SECONDS", help="from sound to picture (default: least that is safe)"
    )
    live.add_argument("--no-pace", action="store_true", help="as fast as it goes, without idling: for files and tests")
    live.add_argument("--keep-idle", action="store_true", help="go on when standard input has ended")
    live.add_argument(
        "--control", metavar="FIFO", help='named pipe with a JSON object per line: {"interrupt": true} stops the speech'
    )
    live.add_argument(
        "--fill", choices=("pingpong", "loop"), default="loop", help="how the clip goes on at its end (default: loop)"
    )
    add_models(live)
    live.add_argument("--seed", type=int, default=42, help="seed of the noise (default: 42)")
    add_device(live)
    add_face(live)
    add_manner(live)


def command_live(arguments: argparse.Namespace) -> None:
    """Let a clip say what comes in."""
    from dataclasses import replace

    from ..faces.selection import follower_for
    from ..live import AHEAD, Live
    from ..media import VideoReader, endless_frames
    from ..media.broadcast import Broadcast
    from ..media.incoming import Incoming, SampleFormat
    from ..session import LipSyncSession

    device = device_choice(arguments.device)
    bare = SampleFormat(_positive("--rate", arguments.rate), _positive("--channels", arguments.channels))
    face, seed = face_choice(arguments.face), seed_choice(arguments.seed)
    controls = Controls(arguments.control) if arguments.control else None
    with VideoReader(arguments.video) as video:
        check_face(face, video.info.width, video.info.height)
        family = load_family(arguments, device)
        family = replace(family, audio=family.audio.windowed())
        follower = follower_for(face, arguments.detector, device, family.layout)
        options = {"seed": seed, "overlapped": True, "keep": 2 * AHEAD}
        with (
            _target(arguments.out, video.source) as target,
            LipSyncSession(family, follower, manner=manner_choice(arguments), **options) as session,
        ):
            broadcast = Broadcast(target, video.info)
            live = Live(
                session,
                endless_frames(video, arguments.fill),
                float(1 / video.info.frame_rate),
                Incoming(_standard_input(), bare),
                broadcast,
                delay=arguments.delay,
                paced=not arguments.no_pace,
                keep_idle=arguments.keep_idle,
                tell=_tell,
            )
            try:
                live.run(controls.interrupted if controls else lambda: False)
                broadcast.close()
            except (KeyboardInterrupt, BrokenPipeError):
                pass  # the two ways in which whoever watches ends it
            _tell(str(live.report()))


class Controls:
    """Commands on a named pipe, read by a thread: whoever writes may come and go.

    Raises:
        InputError: it is no named pipe.
    """

    def __init__(self, path: str) -> None:
        if not Path(path).is_fifo():
            raise InputError(f"--control {path} is no named pipe; make one with mkfifo.")
        self._interruptions: queue.Queue[bool] = queue.Queue()
        threading.Thread(target=self._read, args=(path,), daemon=True).start()

    def interrupted(self) -> bool:
        """Whether an interruption was asked for; once for each."""
        try:
            return self._interruptions.get_nowait()
        except queue.Empty:
            return False

    def _read(self, path: str) -> None:
        # Open for writing as well, it never ends: what is written while another writer leaves would be lost.
        with open(os.open(path, os.O_RDWR), encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._obey(line.strip())

    def _obey(self, line: str) -> None:
        try:
            command = json.loads(line) if line else {}
        except ValueError:
            command = None
        if not isinstance(command, dict) or command.keys() - {"interrupt"}:
            _tell(f'control: {line!r} is no command; write {{"interrupt": true}}')
        elif command.get("interrupt"):
            self._interruptions.put(True)


@contextmanager
def _target(path: Path | None, clip: str | os.PathLike):
    """Where the stream goes, open for bytes, but for the clip itself; standard output is not closed."""
    if path is not None:
        if path.is_file():  # no pipe and no device, which take a stream as well
            check_new_file(path, [clip])
        try:
            file: BinaryIO = open(path, "wb")  # noqa: SIM115
        except OSError as error:
            raise InputError(f"{path} cannot be written ({(error.strerror or str(error)).lower()}).") from error
        with file:
            yield file
        return
    if sys.stdout.isatty():
        raise InputError(
            f"The stream would go to the terminal; pipe it into a player, or name a file with -o: {EXAMPLE}"
        )
    try:
        yield sys.stdout.buffer
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain at its end


def _standard_input() -> BinaryIO:
    """Unbuffered: Python could not end while a thread waits within the buffer."""
    return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)


def _positive(option: str, value: int) -> int:
    if value < 1:
        raise InputError(f"{option} {value} makes no sound; give at least 1.")
    return value


def _tell(sentence: str) -> None:
    print(f"lipforcing: {sentence}", file=sys.stderr, flush=True)
