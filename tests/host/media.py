"""Small media files for the host tests, and what is in the ones that come back."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np


def write_video(path: Path, frames: int, width: int = 192, height: int = 160, fps: int = 25) -> None:
    """A slowly moving gradient without sound, H.264."""
    y, x = np.mgrid[0:height, 0:width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = np.stack([x + 2 * index, y + index, x + y], axis=-1) % 256
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")):
                container.mux(packet)
        container.mux(stream.encode())


def write_speech(path: Path, seconds: float, sample_rate: int = 44_100) -> None:
    """Stereo: a buzz that comes and goes four times a second, loosely like syllables."""
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    buzz = np.sin(2 * np.pi * 140 * time) * np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * 0.6
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.repeat(buzz[:, None], 2, axis=1) * 32767).astype("<i2").tobytes())


@dataclass(frozen=True)
class Contents:
    """What a video file holds: `frames` uint8 [T, H, W, 3], frames per second, and the audio's length and shape."""

    frames: np.ndarray
    fps: float
    audio_seconds: float
    audio_channels: int
    audio_rate: int


def read_media(path: Path) -> Contents:
    """Decode the whole of a (short) file."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video)])
        fps = float(video.average_rate)
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return Contents(frames, fps, 0.0, 0, 0)
        blocks = list(container.decode(container.streams.audio[0]))
        rate, channels = blocks[0].sample_rate, blocks[0].layout.nb_channels
    return Contents(frames, fps, sum(block.samples for block in blocks) / rate, channels, rate)
