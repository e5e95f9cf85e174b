"""What a 1080p frame costs from file to file: bare, with pictures kept as they were decoded, and through RGB.

    python -m benchmarks.native_pictures --frames 150 --runs 5

``bare`` decodes and encodes with PyAV alone (H.264, veryfast, crf 16, FFmpeg's own threads). ``native`` adds what
a lip-synced frame needs: a thumbnail of 320 x 180 to look for faces, a region of 600 x 600 to crop from, and a patch of
400 x 400 laid over the planes. ``rgb`` does the same through a whole RGB frame, as the first version of the engine did.
The clip is made on the spot: texture that moves, so that both codecs have work. CPU time counts all threads; runs
alternate, the median counts. ``--parts`` times the single steps instead. Set OMP_NUM_THREADS=1 where other work shares
the machine: torch's threads burn CPU time while they wait for each other.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from lipforcing.media import Patch, VideoReader, VideoWriter

from .common import hardware, table

WIDTH, HEIGHT = 1920, 1080
PATCH, REGION = 400, 600
CODECS = {
    "h264": ("libx264", "yuv420p", {"crf": "20", "preset": "veryfast"}),
    "hevc10": ("libx265", "yuv420p10le", {"crf": "20", "preset": "veryfast", "x265-params": "log-level=none"}),
}


def clip(path: Path, codec: str, frames: int) -> Path:
    """Texture that moves by a few pixels a frame."""
    encoder, pixel_format, options = CODECS[codec]
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(0, 255, (3, 68, 121))).float()[None]
    fine = torch.from_numpy(random.normal(0, 6, (3, HEIGHT + 64, WIDTH + 64))).float()
    picture = torch.nn.functional.interpolate(coarse, fine.shape[1:], mode="bicubic")[0] + fine
    picture = picture.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = WIDTH, HEIGHT, pixel_format, options
        for number in range(frames):
            y, x = (32 + round(30 * f(number / 9)) for f in (np.sin, np.cos))
            view = np.ascontiguousarray(picture[y : y + HEIGHT, x : x + WIDTH])
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    return path


def patch() -> Patch:
    coarse = torch.rand(1, 3, 26, 26, generator=torch.Generator().manual_seed(0))  # as fine as a mouth, no noise
    pixels = torch.nn.functional.interpolate(coarse, (PATCH, PATCH), mode="bicubic")[0].clamp(0, 1)
    y, x = (torch.linspace(-1, 1, PATCH) for _ in range(2))
    return Patch(301, 701, pixels, ((1.1 - y[:, None].square() - x[None].square()) * 4).clamp(0, 1)[None])


def bare(source: Path, result: Path) -> None:
    """PyAV alone."""
    with av.open(str(source)) as reading, av.open(str(result), "w") as writing:
        video = reading.streams.video[0]
        video.thread_type = "AUTO"
        ten = video.codec_context.pix_fmt.endswith("10le")
        stream = writing.add_stream("libx265" if ten else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, video.codec_context.pix_fmt
        stream.options = {"crf": "16", "preset": "veryfast", "x265-params": "log-level=none"}
        for frame in reading.decode(video):
            frame.pict_type = 0
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))


def native(source: Path, result: Path) -> None:
    """Pictures stay as they were decoded."""
    laid = patch()
    reader = VideoReader(source)
    with VideoWriter.like(result, reader.info) as writer:
        for frame in reader:
            frame.picture.thumbnail(180, 320)
            frame.picture.region(200, 600, REGION, REGION)
            writer.write(frame.picture.patched([laid]), frame.time)


def rgb(source: Path, result: Path) -> None:
    """Through a whole frame of 8-bit RGB."""
    laid = patch()
    rows, columns = slice(laid.top, laid.top + PATCH), slice(laid.left, laid.left + PATCH)
    reader = VideoReader(source)
    with VideoWriter(result, WIDTH, HEIGHT, Fraction(25)) as writer:
        for frame in reader:
            image = frame.image.clone()
            image[::6, ::6].contiguous()
            image[200 : 200 + REGION, 600 : 600 + REGION].permute(2, 0, 1).float().div(255)
            under = image[rows, columns].permute(2, 0, 1).float().div(255)
            blended = torch.lerp(under, laid.pixels, laid.opacity).mul(255).round().to(torch.uint8)
            image[rows, columns] = blended.permute(1, 2, 0)
            writer.write(image, frame.time)


WAYS = {"bare": bare, "native": native, "rgb": rgb}


def measure(way: Callable[[Path, Path], None], source: Path, frames: int) -> tuple[float, float]:
    """Milliseconds of CPU and of wall time per frame."""
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        way(source, Path(folder) / "out.mp4")
        return 1000 * (time.process_time() - cpu) / frames, 1000 * (time.perf_counter() - wall) / frames


def parts(source: Path) -> dict[str, float]:
    """Milliseconds of CPU of the single steps, on one frame."""
    picture, laid = next(VideoReader(source).frames()).picture, patch()
    steps = {
        "thumbnail 320 x 180": lambda: picture.thumbnail(180, 320),
        "region 600 x 600": lambda: picture.region(200, 600, REGION, REGION),
        "patch 400 x 400, with the copy of the planes": lambda: picture.patched([laid]),
        "whole frame as RGB": lambda: picture.rgb(),
    }
    times = {}
    for name, step in steps.items():
        step()
        cpu = time.process_time()
        for _ in range(20):
            step()
        times[name] = 50 * (time.process_time() - cpu)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--codec", choices=CODECS, default="h264", help="of the source")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--parts", action="store_true")
    arguments = parser.parse_args()
    print(f"{hardware()}, PyAV {av.__version__}; {WIDTH} x {HEIGHT}, {arguments.codec}\n")
    with tempfile.TemporaryDirectory() as folder:
        source = clip(Path(folder) / "in.mp4", arguments.codec, arguments.frames)
        if arguments.parts:
            print(table(["step", "CPU ms"], [(name, f"{ms:.1f}") for name, ms in parts(source).items()]))
            return
        runs = {name: [] for name in arguments.ways}
        for _ in range(arguments.runs):
            for name, kept in runs.items():
                kept.append(measure(WAYS[name], source, arguments.frames))
        rows = [(name, *(f"{statistics.median(column):.1f}" for column in zip(*kept))) for name, kept in runs.items()]
        print(table(["way", "CPU ms per frame", "wall ms per frame"], rows))


if __name__ == "__main__":
    main()
