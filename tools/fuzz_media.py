"""Looks for media that break ``lipforcing sync``: crashes, tracebacks, hangs, files left behind, broken results.

    python -m tools.fuzz_media --seconds 600 --seed 0 --keep FOLDER
    python -m tools.fuzz_media --only 1234 --keep FOLDER

A case is a number: it makes a video and a recording of random codec, container, size, rate, times, layout and sample
format, damages either or both, and lip-syncs one to the other in a process of its own, with a network of a few
thousand numbers and a time limit. Right is a result that plays, or one sentence and exit code 2, and nothing left
beside it. Whatever is not goes to FOLDER/<number>, with what it printed. Needs ``fork``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from lipforcing.cli import main as lipforcing
from lipforcing.cli import sync
from lipforcing.media import VideoReader
from tests.media.clips import set_display_matrix
from tests.stream.helpers import small_family
from tests.test_footage import drawn, film

LIMIT = 60.0  # seconds for a case

PICTURES = (  # suffix, codec, pixel formats
    (".mp4", "libx264", ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le")),
    (".mkv", "libx264", ("yuv420p",)),
    (".mkv", "ffv1", ("yuv420p", "yuv444p12le", "gray", "bgr0", "yuv411p", "yuva420p")),
    (".ts", "libx264", ("yuv420p",)),
    (".ts", "mpeg2video", ("yuv420p", "yuv422p")),
    (".avi", "mpeg4", ("yuv420p",)),
    (".avi", "mjpeg", ("yuvj420p", "yuvj422p")),
    (".mov", "prores_ks", ("yuv422p10le",)),
    (".mov", "libx265", ("yuv420p", "yuv420p10le")),
    (".webm", "libvpx", ("yuv420p",)),
    (".webm", "libvpx-vp9", ("yuv420p",)),
)
SOUNDS = (  # suffix, codec, rates
    (".wav", "pcm_s16le", (8000, 11_025, 16_000, 48_000, 96_000, 192_000)),
    (".wav", "pcm_u8", (8000, 22_050)),
    (".wav", "pcm_s24le", (44_100,)),
    (".wav", "pcm_f32le", (16_000, 48_000)),
    (".wav", "pcm_f64le", (48_000,)),
    (".wav", "pcm_mulaw", (8000,)),
    (".m4a", "aac", (8000, 44_100, 48_000)),
    (".flac", "flac", (16_000, 96_000)),
    (".mka", "alac", (48_000,)),
    (".mka", "libopus", (16_000, 48_000)),
    (".mp3", "libmp3lame", (8000, 22_050, 44_100)),
    (".ogg", "libvorbis", (44_100,)),
    (".ts", "mp2", (44_100, 48_000)),
    (".mka", "ac3", (48_000,)),
)
LAYOUTS = ("mono", "stereo", "2.1", "3.0", "quad", "4.1", "5.0", "5.1", "6.1", "7.1", "hexagonal", "octagonal")


def a_video(dice: random.Random, folder: Path) -> Path:
    suffix, codec, formats = dice.choice(PICTURES)
    width, height = dice.choice(((96, 64), (97, 65), (64, 96), (32, 32), (160, 90), (16, 16)))
    if codec != "ffv1":
        width, height = width // 2 * 2, height // 2 * 2
    rate = dice.choice((25, 24, 30, 50, 60, 10, 1, Fraction(30_000, 1001), 120) if codec != "mpeg2video" else (25, 50))
    count = dice.choice((1, 2, 3, 9, 12, 13, 25))
    times = None
    if suffix in (".mkv", ".mp4") and dice.random() < 0.5:
        times = np.cumsum([dice.choice((0.001, 0.02, 0.04, 0.04, 0.04, 0.3, 3.0)) for _ in range(count)]).tolist()
    images = [drawn(number, width, height, number // dice.choice((5, 100))) for number in range(count)]
    sound = np.full((1, 16_000), 0.3, np.float32) if suffix in (".mkv", ".mov") and dice.random() < 0.3 else None
    path = film(folder / f"in{suffix}", images, times=times, rate=rate, codec=codec, pixels=dice.choice(formats),
                sound=sound, kind="mpegts" if suffix == ".ts" else None)  # fmt: skip
    if suffix in (".mp4", ".mov") and dice.random() < 0.3:
        set_display_matrix(
            path, *dice.choice(((0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (3, 9, 0, 0)))
        )
    if suffix in (".ts", ".avi") and dice.random() < 0.3:
        path.write_bytes(path.read_bytes() * dice.choice((2, 3)))
    return path


def a_recording(dice: random.Random, folder: Path) -> Path:
    suffix, codec, rates = dice.choice(SOUNDS)
    rate, layout = dice.choice(rates), dice.choice(LAYOUTS)
    path = folder / f"speech{suffix}"
    with av.open(str(path), "w", format="mpegts" if suffix == ".ts" else None) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        channels = len(av.AudioLayout(layout).channels)
        samples = np.random.default_rng(dice.randrange(2**32)).uniform(-1, 1, (channels, rate // 2 + 77))
        samples *= dice.choice((0, 0.01, 0.5, 1))
        position = 0
        for piece in np.split(samples, 3, axis=1) if samples.shape[1] % 3 == 0 else [samples]:
            packed = np.ascontiguousarray(piece.T, np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), position
            position += piece.shape[1] + dice.choice((0, 0, rate))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def flipped(dice: random.Random, data: bytearray) -> None:
    for _ in range(dice.choice((1, 3, 30))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def head_flipped(dice: random.Random, data: bytearray) -> None:
    for _ in range(dice.choice((1, 3, 10))):
        data[dice.randrange(min(len(data), 800))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))


def tail_flipped(dice: random.Random, data: bytearray) -> None:
    """Where MP4 has its index."""
    for _ in range(dice.choice((1, 3, 10))):
        data[-1 - dice.randrange(min(len(data), 900))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))


def cut(dice: random.Random, data: bytearray) -> None:
    del data[dice.randrange(len(data)) :]


def holed(dice: random.Random, data: bytearray) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 188, 1000))]


def blanked(dice: random.Random, data: bytearray) -> None:
    at, size = dice.randrange(len(data)), dice.choice((4, 100, 2000))
    data[at : at + size] = bytes(len(data[at : at + size]))


def repeated(dice: random.Random, data: bytearray) -> None:
    first, end = sorted(dice.randrange(len(data)) for _ in range(2))
    data[end:end] = data[first:end]


DAMAGES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    flipped, head_flipped, tail_flipped, cut, holed, blanked, repeated
)  # fmt: skip


def damage(dice: random.Random, path: Path) -> str:
    data, chosen = bytearray(path.read_bytes()), dice.choice(DAMAGES)
    chosen(dice, data)
    path.write_bytes(data)
    return chosen.__name__


def run_case(number: int, folder: Path) -> None:
    """In a process of its own: make the files, lip-sync them, and end with the command's exit code."""
    dice = random.Random(number)
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
    try:
        video, audio = a_video(dice, folder), a_recording(dice, folder)
    except (av.error.FFmpegError, ValueError) as error:
        print(f"not a case: {error}", flush=True)
        os._exit(77)
    done = [(path.name, damage(dice, path)) for path in (video, audio) if dice.random() < 0.6]
    if dice.random() < 0.2:
        audio = video
    out = folder / f"out{dice.choice(('.mp4', '.mkv', '.mov'))}"
    options = [
        "--length",
        dice.choice(("audio", "video", "silence")),
        "--fill",
        dice.choice(("pingpong", "loop", "hold")),
    ]
    options += ["--limit", "6"] + dice.choice(([], ["--start", "0.2"])) + dice.choice(([], ["--lossless"]))
    options += dice.choice(([], ["--keep-partial"]))
    print(number, video.name, audio.name, done, out.name, options, flush=True)
    sync.load_family = lambda *_: small_family()
    code = lipforcing(["sync", str(video), str(audio), "-o", str(out), "--face", "full", *options])
    if not code:
        frames = sum(1 for _ in VideoReader(out))
        print(f"{frames} frames can be read")
        code = 0 if frames else 99
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


def verdict(number: int, folder: Path) -> str:
    """What came of a case: "done", "refused" or "no case" if all is right, else what is not."""
    process = multiprocessing.get_context("fork").Process(target=run_case, args=(number, folder))
    process.start()
    process.join(LIMIT)
    if process.is_alive():
        process.kill()
        process.join()
        return "hangs"
    code = process.exitcode
    said = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    kept = "--keep-partial" in said.partition("\n")[0]
    left = [
        path.name
        for path in folder.iterdir()
        if path.name.startswith(".") or (code and not kept and path.stem == "out")
    ]
    if code < 0:
        return f"crashes ({signal.Signals(-code).name})"
    if code == 77:
        return "no case"
    if left:
        return f"leaves {left}"
    if "Traceback" in said or code not in (0, 2):
        return f"ends with {said.strip().splitlines()[-1][:160]}"
    return "refused" if code else "done"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="this case alone")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the cases that break something")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.keep.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    first, began = arguments.seed if arguments.only is None else arguments.only, time.monotonic()
    number = first
    while time.monotonic() - began < arguments.seconds and (arguments.only is None or number == first):
        folder = Path(tempfile.mkdtemp())
        found = verdict(number, folder)
        right = found in ("done", "refused", "no case")
        counts[found if right else "broken"] += 1
        if not right or arguments.only is not None:
            print(number, found, flush=True)
            shutil.copytree(folder, arguments.keep / str(number), dirs_exist_ok=True)
        shutil.rmtree(folder)
        number += 1
    print(f"cases {first} to {number - 1}: {dict(counts)}")
    if counts["broken"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
