"""Small media files made on the spot, in the kinds that real life brings."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from lipforcing.media.colour import Colour
from lipforcing.media.convert import Raster, frame_of
from lipforcing.media.pixels import layout_of, samples

BT601_LIMITED = Colour(6, 1, 6, 6)


def smooth(width: int, height: int, phase: float = 0.0) -> np.ndarray:
    """uint8 [H, W, 3]: colour ramps without sharp edges, different for every phase in 0..1."""
    y, x = np.mgrid[0:height, 0:width]
    x, y = x / max(width - 1, 1), y / max(height - 1, 1)
    red = 0.25 + 0.5 * x * (0.4 + 0.6 * phase)
    green = 0.2 + 0.6 * y
    blue = 0.85 - 0.5 * x * y - 0.2 * phase
    return np.round(255 * np.stack([red, green, blue], -1)).astype(np.uint8)


def numbered(count: int, width: int = 32, height: int = 16) -> list[np.ndarray]:
    """Frames whose number can be read back by ``number_of`` after lossy coding: 2 columns of 8 bits, black or white."""
    frames = []
    for number in range(count):
        bits = [(number >> bit) & 1 for bit in range(8)]
        column = np.repeat(np.array(bits, np.uint8) * 255, -(-width // 8))[:width]
        frames.append(np.repeat(np.tile(column, (height, 1))[..., None], 3, -1))
    return frames


def number_of(image) -> int:
    """The number that ``numbered`` wrote into a frame [H, W, 3]."""
    image = np.asarray(image)
    cell = -(-image.shape[1] // 8)
    return sum(int(image[:, bit * cell : (bit + 1) * cell].mean() > 128) << bit for bit in range(8))


def as_frame(image: np.ndarray, pixel_format: str, colour: Colour = BT601_LIMITED) -> av.VideoFrame:
    """uint8 [H, W, 3] RGB in another pixel format."""
    chroma = layout_of(pixel_format).chroma(colour.siting)
    raster = Raster(pixel_format, image.shape[1], image.shape[0], colour, chroma)
    return frame_of(torch.from_numpy(image).permute(2, 0, 1), raster)


def write_video(
    path: Path,
    images: Iterable[np.ndarray],
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    colour: Colour = BT601_LIMITED,
    options: dict[str, str] | None = None,
    b_frames: int = 0,
    tag_colour: bool = True,
) -> Path:
    """A video without sound; ``pts`` in ``time_base``, default one frame after the other."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        context = stream.codec_context
        for number, image in enumerate(images):
            if not number:
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = pixel_format
                stream.options = options or {}
                context.thread_count = 1
                context.time_base = time_base or 1 / Fraction(rate)
                if tag_colour:
                    context.colorspace, context.color_range = colour.matrix, colour.range
                    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
                context.max_b_frames = b_frames
            frame = as_frame(image, pixel_format, colour)
            frame.pts = number if pts is None else pts[number]
            frame.time_base = context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_wav(path: Path, samples: np.ndarray, rate: int = 48_000) -> Path:
    """float [channels, N] in [-1, 1] -> 16-bit WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(samples.T * 32767).astype("<i2").tobytes())
    return path


def tone(seconds: float, rate: int = 48_000, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    """float32 [channels, N] sine of amplitude 0.5."""
    time = np.arange(round(seconds * rate)) / rate
    return np.tile(0.5 * np.sin(2 * np.pi * hertz * time), (channels, 1)).astype(np.float32)


def clicks(times: Iterable[float], seconds: float, rate: int = 48_000, channels: int = 1) -> np.ndarray:
    """float32 [channels, N]: 2 ms bursts that start at the given times, silence between."""
    samples = np.zeros((channels, round(seconds * rate)), np.float32)
    for time in times:
        first = round(time * rate)
        samples[:, first : first + rate // 500] = 0.9
    return samples


def onsets(samples: np.ndarray, rate: int) -> np.ndarray:
    """Seconds at which a recording [N] becomes loud after at least 0.1 s of quiet."""
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    return loud[np.diff(loud, prepend=-rate) > rate // 10] / rate


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Turn the picture of an MP4 for display: (x, y) goes to (a x + c y, b x + d y), each 0 or +-1."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", *(65536 * v for v in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)
    path.write_bytes(data)


def noise_frame(pixel_format: str, width: int, height: int, seed: int = 0) -> av.VideoFrame:
    """A frame whose samples are random, over their whole range."""
    frame, layout = av.VideoFrame(width, height, pixel_format), layout_of(pixel_format)
    random = np.random.default_rng(seed)
    for number in range(len(layout.places)):
        place = samples(frame, number)
        place[:] = random.integers(0, 2**layout.bits, place.shape).astype(place.dtype) << layout.shift
    return frame
