"""Pictures and sound that are seen while they are made: an MPEG transport stream into a pipe or file."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np
from av.video.frame import PictureType
from torch import Tensor

from .colour import tag
from .encoding import PictureFormat, encoding_for
from .incoming import RATE
from .info import VideoInfo
from .picture import Picture

CLOCK = Fraction(1, 90_000)
OPTIONS = ("flush_packets", "pes_payload_size", "max_interleave_delta")  # of FFmpeg: 1 byte or microsecond is no wait
KEY_SECONDS = 1  # between key frames: whoever tunes in waits as long at most


class Broadcast:
    """Context manager that sends H.264 and AAC (mono, 48 kHz) as they come.

    Only the latest packet is held back, until the next one of either kind shows in what order they go.

    Args:
        target: open for writing bytes; it is flushed after every packet and stays open.
        info: of the video whose pictures are sent.
        quality: on x264's scale, 0 to 51, lower is better.

    Raises:
        OSError: nobody reads any more (``BrokenPipeError``), or the disk is full.
    """

    def __init__(self, target: BinaryIO, info: VideoInfo, quality: float = 20) -> None:
        pictures = PictureFormat(info.width, info.height, "yuv420p", info.colour)
        self._encoding = encoding_for("live.mp4", pictures, codec="h264", quality=quality, preset="ultrafast")
        self._container = av.open(_Flushed(target), "w", format="mpegts", options=dict.fromkeys(OPTIONS, "1"))
        self._video = self._container.add_stream("libx264", rate=info.frame_rate)
        raster, context = self._encoding.raster, self._video.codec_context
        self._video.width, self._video.height, self._video.pix_fmt = raster.width, raster.height, raster.pixel_format
        self._video.options = {**self._encoding.options, "tune": "zerolatency"}
        tag(context, self._encoding.tagged_colour)
        context.time_base, context.sample_aspect_ratio = CLOCK, info.pixel_aspect
        context.gop_size = max(1, round(KEY_SECONDS * info.frame_rate))
        context.max_b_frames = 0
        self._sound = self._container.add_stream("aac", rate=RATE, layout="mono")
        self._sound.bit_rate = 128_000
        self.samples = 0
        """Samples of sound sent."""

    def __enter__(self) -> Broadcast:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def show(self, picture: Picture, time: float) -> None:
        """Send a picture that is shown from ``time`` seconds on; times increase."""
        frame = picture.coded(self._encoding.raster)
        frame.pict_type = PictureType.NONE
        frame.pts, frame.time_base = round(time / CLOCK), CLOCK
        self._container.mux(self._video.encode(frame))

    def sound(self, samples: Tensor) -> None:
        """Send the next samples of the sound, float32 [n] at 48 kHz, which begins with the pictures at 0 s."""
        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.numpy()[None]), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self.samples
        self.samples += len(samples)
        self._container.mux(self._sound.encode(frame))

    def close(self) -> None:
        """Send what encoders hold."""
        container, self._container = self._container, None
        if container is not None:
            container.mux(self._video.encode(None))
            container.mux(self._sound.encode(None))
            container.close()


class _Flushed:
    """What FFmpeg writes to: whatever is written is on its way at once."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target

    def write(self, data: bytes) -> int:
        self._target.write(data)
        self._target.flush()
        return len(data)
