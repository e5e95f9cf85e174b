"""Drive ``lipforcing live`` from a program: say something, break it off, say something else.

    python docs/examples/live_speech.py clip.mp4 | ffplay -
    python docs/examples/live_speech.py clip.mp4 --say "What I begin with." "What I say instead." > talk.ts
    python docs/examples/live_speech.py clip.mp4 --say first.wav second.wav --after 2 --face center > talk.ts

What is said is text, which espeak-ng speaks, or a WAV file; without espeak-ng the default is two recordings that come
with the package. Other options go to ``lipforcing live``. Nothing but the standard library is used here: any
program that can start another one, write samples into its standard input and lines into a named pipe can do the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import lipforcing

SAMPLES = Path(lipforcing.__file__).parent / "tiny" / "samples"
TEXTS = ["I was going to tell you the whole story from its beginning.", "But you wanted to say something. I listen."]
RECORDINGS = [str(SAMPLES / "market.wav"), str(SAMPLES / "moon.wav")]


def spoken(what: str) -> bytes:
    """A WAV file as bytes: of a text, or read from a file. ``lipforcing live`` takes them one after the other."""
    if what.lower().endswith(".wav"):
        return Path(what).read_bytes()
    return subprocess.run(["espeak-ng", "--stdout", what], check=True, stdout=subprocess.PIPE).stdout


class Talking:
    """Context manager: a clip that talks.

    Args:
        clip: the video that idles and talks.
        options: further ones of ``lipforcing live``.
    """

    def __init__(self, clip: str, options: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._control = Path(self._folder.name) / "control"
        os.mkfifo(self._control)
        command = [sys.executable, "-m", "lipforcing", "live", clip, "--control", str(self._control), *options]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        self._started, self._interrupted = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=follow) for follow in (self._pass_on, self._read)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Talking:
        return self

    def __exit__(self, *_) -> None:
        """Everything that was said is finished, then the program ends."""
        self._process.stdin.close()
        for thread in self._threads:
            thread.join()
        self._process.wait()
        self._folder.cleanup()

    def say(self, wav: bytes) -> None:
        """Say something after what was said before; returns when it is on its way, long before it is heard."""
        self._process.stdin.write(wav)

    def wait(self) -> None:
        """Until the first picture, or the end."""
        self._started.wait()

    def interrupt(self) -> None:
        """Break off what is being said; returns when that is done, and new sound can come."""
        self._interrupted.clear()
        if self._process.poll() is None:
            self._control.write_text('{"interrupt": true}\n', encoding="utf-8")
            self._interrupted.wait()

    def _pass_on(self) -> None:
        while data := self._process.stdout.read(1 << 16):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            self._started.set()

    def _read(self) -> None:
        """What it tells: one sentence a line."""
        for line in self._process.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            if b"interrupted at" in line:
                self._interrupted.set()
        self._started.set()  # it has ended: nobody shall wait for it
        self._interrupted.set()


def main() -> None:
    default = TEXTS if shutil.which("espeak-ng") else RECORDINGS
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("clip", help="the video that idles and talks")
    parser.add_argument(
        "--say", nargs=2, default=default, metavar=("FIRST", "THEN"), help="text, or names of WAV files"
    )
    parser.add_argument("--after", type=float, default=3.0, help="seconds until the first is broken off (default: 3)")
    arguments, options = parser.parse_known_args()
    first, then = map(spoken, arguments.say)
    with Talking(arguments.clip, options) as talking:
        talking.say(first)
        talking.wait()
        time.sleep(arguments.after)
        talking.interrupt()
        talking.say(then)


if __name__ == "__main__":
    main()
