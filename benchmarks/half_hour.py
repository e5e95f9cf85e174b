"""Whether picture and sound are still together after half an hour, from file to file.

    python -m benchmarks.half_hour [--minutes 30] [--rate 30000/1001] [--sound aac]

A small film flashes white for a frame, and clicks, every ten seconds; everything but the network is run on it, with a
face that stays in place. In the result the time of every flash, less that of its click, is what counts, and so is the
number of frames. ``--sound`` is how the speech comes: an uncompressed file, or AAC in a film, which is copied.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from lipforcing.faces.align import box_matrix
from lipforcing.faces.follow import FixedFollower
from lipforcing.media import AudioSource, VideoReader, VideoWriter, read_audio
from lipforcing.pipeline import sync_file

from .common import hardware, table
from .stream_1080p import family_of

SIZE, FACE, CROP = (64, 96), (40.0, 10.0, 90.0, 60.0), 64  # height and width; the box; pixels of the crop
EVERY, HERTZ = 10, 44_100  # seconds from click to click
DARK, WHITE = (torch.full((*SIZE, 3), level, dtype=torch.uint8) for level in (16, 235))


def clicks(path: Path, times: list[float], seconds: int) -> Path:
    """A file of silence with a millisecond of noise at each time."""
    samples = np.zeros(seconds * HERTZ, dtype="<i2")
    for at in times:
        samples[round(at * HERTZ) : round(at * HERTZ) + HERTZ // 1000] = 20_000
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, HERTZ, 0, "NONE", None))
        file.writeframes(samples.tobytes())
    return path


def film(path: Path, flashes: set[int], frames: int, rate: Fraction, sound: AudioSource | None) -> Path:
    """Dark pictures, and white ones where it flashes."""
    with VideoWriter(path, SIZE[1], SIZE[0], rate, audio=sound, preset="ultrafast") as writer:
        for number in range(frames):
            writer.write(WHITE if number in flashes else DARK, float(number / rate))
    return path


def seen(path: Path) -> tuple[list[float], int]:
    """Times of the flashes, and the number of frames."""
    with VideoReader(path) as video:
        levels = [(frame.time, float(frame.picture.thumbnail(1, 1).float().mean())) for frame in video.frames()]
    return [at for at, level in levels if level > 128], len(levels)


def heard(path: Path) -> list[float]:
    """Times of the clicks."""
    loud = np.flatnonzero(np.abs(read_audio(path).waveform[0].numpy()) > 0.1)
    starts = loud[np.diff(loud, prepend=-HERTZ) > HERTZ // 2]
    return (starts / HERTZ).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--rate", type=Fraction, default=Fraction(30_000, 1001))
    parser.add_argument("--sound", choices=("wav", "aac"), default="wav")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(hardware(), flush=True)
    rate, seconds = arguments.rate, 60 * arguments.minutes
    flashes = [int(rate * second) for second in range(1, seconds, EVERY)]
    times = [float(number / rate) for number in flashes]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = AudioSource(clicks(folder / "clicks.wav", times, seconds))
        footage = film(folder / "film.mp4", set(flashes), int(rate * seconds), rate, sound)
        speech = sound if arguments.sound == "wav" else AudioSource(footage)
        began = time.monotonic()
        with VideoReader(footage) as video:
            still = FixedFollower(box_matrix(*FACE))
            result = sync_file(family_of("pass", CROP), video, speech, folder / "out.mp4", still)
        took = time.monotonic() - began
        (flashed, frames), clicked = seen(folder / "out.mp4"), heard(folder / "out.mp4")
    print(f"{result.frames} frames written, {frames} in the file; {took:.0f} s")
    print(f"{len(flashes)} flashes and clicks, {len(flashed)} and {len(clicked)} in the result")
    if len(flashed) != len(flashes) or len(clicked) != len(flashes):
        raise SystemExit("some are missing or doubled")
    apart = 1000 * (np.array(flashed) - np.array(clicked))
    moved = 1000 * (np.array(flashed) - np.array(times))
    rows = []
    for first in range(0, len(apart), max(1, len(apart) // 6)):
        part = slice(first, first + max(1, len(apart) // 6))
        rows.append([f"{times[first] / 60:.0f}", f"{apart[part].mean():+.1f}", f"{np.abs(apart[part]).max():.1f}"])
        rows[-1].append(f"{np.abs(moved[part]).max():.1f}")
    print(table(["from minute", "flash less click, ms", "largest, ms", "flash off its own time, ms"], rows))


if __name__ == "__main__":
    main()
