"""Memory of a process over time: long footage against short from file to file, and an hour of sound alone.

    python -m benchmarks.memory --footage 1920x1080,0.5,3 640x360,1,10 --plot docs/images/memory.png

``--footage SIZE,MINUTES,...`` takes everything but the network, as ``benchmarks.stream_1080p --family pass`` does, with
a face that stays in place and log-mel features; the footage is ten seconds that are repeated without decoding them.
``--sound NAME,MINUTES`` pushes ten seconds of speech at a time through an encoder and drops the rows it gets:
``logmel``, ``wav2vec2`` (of base-960h's size) or ``narrow`` (the same network in two layers of 32), both in the window
of live use with random weights, on which memory does not depend. It stops after ``--patience`` seconds and says how far
it got. Each run is a process of its own that notes its resident memory every second.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
import wave
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch

from lipforcing.audio.base import LIVE
from lipforcing.audio.logmel import LogMelEncoder
from lipforcing.audio.wav2vec2 import Wav2Vec2Config
from lipforcing.audio.wav2vec2_encoder import Wav2Vec2Encoder
from lipforcing.faces.align import box_matrix
from lipforcing.faces.follow import FixedFollower
from lipforcing.media import AudioSource, VideoReader
from lipforcing.pipeline import sync_file
from lipforcing.stream.family import RELEASED_CROP_SIZE
from lipforcing.timeline import SAMPLE_RATE

from .audio_window import network, speech
from .common import hardware, measured, table
from .stream_1080p import WIDTH, clip, family_of

PIECE = 10  # seconds of the footage that is repeated, and of sound that is pushed at a time
CROPS = {"640x360": 128}  # size of crops where it is not that of the released student: minutes cost less there
NARROW = Wav2Vec2Config(width=32, layers=2, heads=2, feed_forward=64, conv_channels=(32,) * 7)


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def watched():
    """A list that grows by (seconds since its start, resident bytes) every second."""
    noted: list[tuple[float, int]] = []
    began, over = time.monotonic(), threading.Event()

    def note() -> None:
        while not over.wait(1):
            noted.append((round(time.monotonic() - began, 1), resident()))

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield noted
    finally:
        over.set()
        thread.join()


def repeated(source: Path, out: Path, times: int, width: int, height: int) -> None:
    """Footage at another size, as often as is said, without its sound."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.mp4"
        with av.open(str(source)) as reading, av.open(str(small), "w") as writing:
            stream = writing.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in reading.decode(video=0):
                frame.pict_type = 0
                writing.mux(stream.encode(frame.reformat(width, height)))
            writing.mux(stream.encode(None))
        with av.open(str(out), "w") as writing, av.open(str(small)) as reading:
            stream = writing.add_stream_from_template(reading.streams.video[0])
            length = reading.streams.video[0].duration
            for time_ in range(times):
                reading.seek(0)
                for packet in reading.demux(video=0):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + time_ * length, packet.dts + time_ * length
                    packet.stream = stream
                    writing.mux(packet)


def footage(size: str, minutes: float) -> dict:
    """Sync in this process."""
    width, height = map(int, size.split("x"))
    seconds = round(60 * minutes)
    with tempfile.TemporaryDirectory() as folder:
        short, long, sound = (Path(folder) / name for name in ("short.mp4", "long.mp4", "long.wav"))
        repeated(clip(short, "h264", 25 * PIECE), long, seconds // PIECE, width, height)
        with wave.open(str(sound), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", None))
            piece = (speech(PIECE).numpy() * 32767).astype("<i2").tobytes()
            for _ in range(seconds // PIECE):
                file.writeframes(piece)
        box = np.array([640, 260, 1080, 860]) * (width / WIDTH)
        family, done = family_of("pass", CROPS.get(size, RELEASED_CROP_SIZE)), []

        def progress(count: int, *_) -> None:
            if count == 25 * PIECE:
                done.append(len(noted))

        with watched() as noted, VideoReader(long) as video:
            still, out = FixedFollower(box_matrix(*box.tolist())), Path(folder) / "out.mp4"
            result = sync_file(family, video, AudioSource(sound), out, still, progress=progress)
        return {"noted": noted, "settled": done[0], "reached": result.frames / 25}


def sound(name: str, minutes: float, patience: float) -> dict:
    """Encode in this process."""
    if name == "logmel":
        encoder = LogMelEncoder()
    else:
        config = NARROW if name == "narrow" else Wav2Vec2Config.base_960h()
        encoder = Wav2Vec2Encoder(network(config), LIVE)
    piece, stream, pushed, settled = speech(PIECE), encoder.stream(), 0, None
    with watched() as noted:
        began = time.monotonic()
        while pushed < 60 * minutes and time.monotonic() - began < patience:
            stream.push(piece)
            pushed += PIECE
            settled = len(noted) if settled is None else settled
        time.sleep(1.1)  # one note at least
    return {"noted": noted, "settled": settled, "reached": pushed}


def plotted(runs: dict[str, dict], path: Path) -> None:
    """Curves of all runs, each over the share of the work that is done."""
    from matplotlib.figure import Figure

    figure = Figure((7, 3), layout="constrained")
    axes = figure.subplots()
    for name, run in runs.items():
        seconds, held = zip(*run["noted"])
        axes.plot(np.array(seconds) / seconds[-1] * run["reached"] / 60, np.array(held) / 1e6, label=name, linewidth=1)
    axes.set(xlabel="minutes of footage that are done", ylabel="resident memory, MB", ylim=(0, None), xlim=(0, None))
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", nargs="*", default=["1920x1080,0.5,3", "640x360,1,10"], metavar="SIZE,MINUTES,...")
    parser.add_argument("--sound", nargs="*", default=["logmel,60", "narrow,60", "wav2vec2,60"], metavar="NAME,MINUTES")
    parser.add_argument("--patience", type=float, default=180, help="seconds for each --sound (default: 180)")
    parser.add_argument("--plot", type=Path, help="write the curves of the footage here")
    parser.add_argument("--once", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        kind, name, minutes = arguments.once
        torch.set_num_threads(1)
        run = footage(name, float(minutes)) if kind == "footage" else sound(name, float(minutes), arguments.patience)
        print(json.dumps(run))
        return
    print(hardware(), flush=True)
    runs = {}
    wanted = [("footage", *text.split(",")) for text in arguments.footage]
    wanted += [("sound", *text.split(",")) for text in arguments.sound]
    rows = []
    for kind, name, *lengths in wanted:
        for minutes in lengths:
            options = ["--once", kind, name, minutes, "--patience", str(arguments.patience)]
            run = measured("benchmarks.memory", options, threads=1)
            held = [bytes_ / 1e6 for _, bytes_ in run["noted"]]
            settled = held[min(run["settled"], len(held) - 1)]
            rows.append(
                [name, f"{run['reached'] / 60:.1f} min", f"{settled:.0f}", f"{held[-1]:.0f}", f"{max(held):.0f}"]
            )
            rows[-1].append(f"{run['noted'][-1][0]:.0f} s")
            print(*rows[-1], flush=True)
            if kind == "footage":
                runs[f"{name}, {minutes} min"] = run
    print(table(["", "minutes", "after 10 s of it, MB", "at the end, MB", "peak, MB", "took, s"], rows))
    if arguments.plot and runs:
        plotted(runs, arguments.plot)


if __name__ == "__main__":
    main()
