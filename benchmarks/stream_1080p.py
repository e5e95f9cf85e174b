"""Frames per second from file to file at 1080p, against a bare decode and encode of the same file through PyAV.

    python -m benchmarks.stream_1080p --family pass --codec h264 --runs 5

``pass`` takes everything but the network: reading, following, cropping, resizing to 512 x 512, pasting, encoding and
the sound; what encodes, denoises and decodes latents gives constants. ``tiny`` is the model that comes with the pack.
``bare`` uses the same encoder settings (H.264, veryfast, crf 16) and FFmpeg's own threads. Runs alternate in one
process; the median of the ratios counts. The clip is made on the spot: a drawn face over texture that moves, so that
both codecs have work; ``--video`` takes another one. ``--profile`` says where the time of a run goes instead.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lipforcing.faces.align import box_matrix
from lipforcing.faces.follow import FixedFollower
from lipforcing.faces.selection import follower_for
from lipforcing.media import AudioSource, VideoReader
from lipforcing.models import Conditioning, Past
from lipforcing.pipeline import SyncOptions, sync_file
from lipforcing.stream import stages
from lipforcing.stream.family import RELEASED_CROP_SIZE, Family
from lipforcing.tiny.family import SAMPLES, tiny_family

from .common import hardware, table

WIDTH, HEIGHT = 1920, 1080
FACE = 480  # pixels of the drawn face
CODECS = {"h264": ("libx264", {"crf": "20", "preset": "veryfast"}), "hevc": ("libx265", {"crf": "22"})}


class Constant:
    """A codec and its streams that look at nothing."""

    spatial_factor, latent_channels, look_ahead = 8, 16, 0

    def __init__(self, size: int) -> None:
        self._face = torch.rand(1, 3, 1, size, size) - 0.5
        self._started = False

    def encode_stream(self) -> Constant:
        return Constant(self._face.shape[-1])

    decode_stream = encode_stream

    def copy(self) -> Constant:
        return self

    def __call__(self, video: Tensor) -> Tensor:
        if video.shape[1] == 3:
            edge = video.shape[-1] // 8
            return torch.zeros(len(video), 16, -(-video.shape[2] // 4), edge, edge)
        frames = 4 * video.shape[2] - 3 * (not self._started)
        self._started = True
        return self._face.expand(-1, -1, frames, -1, -1)


class Idle:
    """A student that predicts what it is given."""

    def __init__(self, student) -> None:
        self.config, self.geometry, self.embed_audio = student.config, student.geometry, student.embed_audio
        self.embed_text, self.embed_times = student.embed_text, student.embed_times

    def x0(self, x_t: Tensor, sigma: float, time, conditioning: Conditioning, window) -> Tensor:
        return x_t

    def cache_write(self, x0: Tensor, time, conditioning: Conditioning, window) -> Past:
        return window.past


def family_of(name: str, size: int = RELEASED_CROP_SIZE) -> Family:
    """The tiny family, or what only passes crops of a size."""
    family = tiny_family("cpu")
    if name == "tiny":
        return family
    # Preparing what the codec would encode belongs to what is left out.
    stages.masked_beside = lambda crops, dtype: torch.zeros(()).expand(2, 3, len(crops), *crops.shape[-2:])
    return replace(family, student=Idle(family.student), codec=Constant(size), decoder=Constant(size), crop_size=size)


def clip(path: Path, codec: str, frames: int) -> Path:
    """A drawn face over texture that moves by a few pixels a frame, and speech."""
    encoder, options = CODECS[codec]
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(0, 255, (3, 68, 121))).float()[None]
    fine = torch.from_numpy(random.normal(0, 4, (3, HEIGHT + 64, WIDTH + 64))).float()
    ground = (F.interpolate(coarse, fine.shape[1:], mode="bicubic")[0] + fine).clamp(0, 255)
    faces = [frame.image for frame in VideoReader(SAMPLES / "ada.mp4").frames()]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = WIDTH, HEIGHT, "yuv420p", options
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(frames):
            y, x = (32 + round(30 * f(number / 25)) for f in (np.sin, np.cos))
            picture = ground[:, y : y + HEIGHT, x : x + WIDTH].clone()
            face = faces[number % len(faces)].permute(2, 0, 1)[None].float()
            height = round(FACE * face.shape[2] / face.shape[3])
            face = F.interpolate(face, (height, FACE), mode="bicubic", antialias=True)[0].clamp(0, 255)
            picture[:, 200 + y : 200 + y + height, 600 + x : 600 + x + FACE] = face
            image = np.ascontiguousarray(picture.to(torch.uint8).permute(1, 2, 0).numpy())
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")))
            tone = random.normal(0, 0.1, (1, 640)).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 16_000, 640 * number, Fraction(1, 16_000)
            container.mux(sound.encode(heard))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    return path


def bare(source: Path, result: Path) -> None:
    """PyAV alone."""
    with av.open(str(source)) as reading, av.open(str(result), "w") as writing:
        video = reading.streams.video[0]
        video.thread_type = "AUTO"
        stream = writing.add_stream("libx264", rate=video.average_rate)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.options = {"crf": "16", "preset": "veryfast"}
        for frame in reading.decode(video):
            frame.pict_type = 0
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))


def synced(source: Path, result: Path, family: Family, face: str, detector: str, overlapped: bool = True) -> None:
    """The pack, from file to file."""
    follower = FixedFollower(box_matrix(640, 260, 1080, 860)) if face == "still" else follower_for(face, detector)
    with VideoReader(source) as video:
        done = sync_file(family, video, AudioSource(source), result, follower, SyncOptions(overlapped=overlapped))
    print(", ".join(f"{name} {1e3 * times.total / done.frames:.1f}" for name, times in done.stages.items()))


def timed(run, *arguments) -> tuple[float, float]:
    """Wall and CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        run(arguments[0], Path(folder) / "out.mp4", *arguments[1:])
        return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=("pass", "tiny"), default="pass")
    parser.add_argument("--codec", choices=CODECS, default="h264", help="of the source")
    parser.add_argument("--video", type=Path, help="another source")
    parser.add_argument("--face", default="auto", help="auto, or still: a box, nothing is looked for (default: auto)")
    parser.add_argument("--detector")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    print(f"{hardware()}, PyAV {av.__version__}; {arguments.family}, {arguments.video or arguments.codec}")
    family = family_of(arguments.family)
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.video or clip(Path(folder) / "in.mp4", arguments.codec, arguments.frames)
        with VideoReader(source) as reader:
            frames = sum(1 for _ in reader.frames())
        ours = (source, family, arguments.face, arguments.detector)
        timed(synced, *ours)
        if arguments.profile:
            with cProfile.Profile() as profile:
                timed(synced, *ours, False)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            return
        rows = []
        for _ in range(arguments.runs):
            (wall, cpu), (our_wall, our_cpu) = timed(bare, source), timed(synced, *ours)
            rows.append((frames / wall, frames / our_wall, wall / our_wall, 1e3 * cpu / frames, 1e3 * our_cpu / frames))
        names = ["bare, frames/s", "pack, frames/s", "ratio", "bare, CPU ms per frame", "pack, CPU ms per frame"]
        print(table(names, [[f"{value:.2f}" for value in row] for row in rows]))
        print(table(["", *names], [["median", *(f"{statistics.median(column):.2f}" for column in zip(*rows))]]))


if __name__ == "__main__":
    main()
