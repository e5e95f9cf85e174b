"""What a video file is: size, rate, length, colours, orientation."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import torch

from ..errors import InputError
from .colour import Colour, colour_of
from .source import Source, audio_stream, name_of, open_media, video_stream


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before reading it through.

    ``width`` and ``height`` are those of the upright picture. ``frame_rate`` is the average, ``duration`` in seconds
    including the last frame, ``frame_count`` None where the file does not say. ``rotation`` tells by how many degrees
    counterclockwise the stored picture is turned for display (0, 90, 180, 270). ``pixel_aspect`` is the width of an
    upright pixel divided by its height.
    """

    path: Source
    width: int
    height: int
    frame_rate: Fraction
    duration: float
    frame_count: int | None
    has_audio: bool
    colour: Colour
    rotation: int
    pixel_format: str
    bit_depth: int
    pixel_aspect: Fraction
    time_base: Fraction
    first_pts: int | None


def probe(source: Source) -> VideoInfo:
    """Open a video, decode its first frame and say what it is.

    Raises:
        InputError: missing, a folder, not a media file, no video stream, no frame that can be decoded.
    """
    with open_media(source) as container:
        stream = open_video_stream(container, source)
        frame = next((decoded for decoded in decode_video(container, stream) if decoded is not None), None)
        if frame is None:
            raise InputError(
                f"{name_of(source)} has a video stream but no frame in it can be decoded; "
                "it may be cut off or damaged: export it again."
            )
        turn = Orientation.of(frame)
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        rate, duration, count = _extent(source, container, stream)
        return VideoInfo(
            path=source,
            width=frame.height if turn.swap else frame.width,
            height=frame.width if turn.swap else frame.height,
            frame_rate=rate,
            duration=duration,
            frame_count=count,
            has_audio=audio_stream(container) is not None,
            colour=colour_of(stream.codec_context),
            rotation=turn.degrees,
            pixel_format=frame.format.name,
            bit_depth=max((part.bits for part in frame.format.components), default=8),
            pixel_aspect=1 / aspect if turn.swap else aspect,
            time_base=stream.time_base,
            first_pts=frame.pts,
        )


def open_video_stream(container: av.container.InputContainer, source: Source) -> av.VideoStream:
    """The video stream of a container; InputError where there is none."""
    stream = video_stream(container)
    if stream is None:
        found = "only sound" if container.streams.audio else "neither pictures nor sound"
        raise InputError(f"{name_of(source)} has no video stream ({found}); give a video file here.")
    return stream


def decode_video(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame | None]:
    """Decoded frames in display order; None stands for a packet that could not be decoded."""
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                yield None
    except av.error.FFmpegError:
        # The file ends in the middle of something: what came before it is all there is.
        yield None


def _extent(
    source: Source, container: av.container.InputContainer, stream: av.VideoStream
) -> tuple[Fraction, float, int | None]:
    """Average frame rate, duration in seconds and number of frames, from the header as far as it can be trusted."""
    rate, count = stream.average_rate or stream.guessed_rate, stream.frames or None
    duration = float(stream.duration * stream.time_base) if stream.duration else _tagged_duration(stream)
    # Live recordings (browsers) state no duration, and the millisecond clock as their frame rate.
    if not duration or not rate or rate > 240:
        rate, duration, count = _scan(source, rate or Fraction(25))
    return Fraction(rate), duration, count


def _tagged_duration(stream: av.VideoStream) -> float | None:
    """Matroska's per-stream duration tag, "HH:MM:SS.fraction"."""
    tag = stream.metadata.get("DURATION", "")
    try:
        hours, minutes, seconds = (float(part) for part in tag.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _scan(source: Source, rate: Fraction) -> tuple[Fraction, float, int]:
    """Rate, duration and count from the timestamps of all packets, without decoding them."""
    count, first, last = 0, None, 0
    with open_media(source) as container:
        stream = open_video_stream(container, source)
        time_base = stream.time_base
        for packet in container.demux(stream):
            if packet.size:
                count += 1
                if packet.pts is not None:
                    first = packet.pts if first is None else min(first, packet.pts)
                    last = max(last, packet.pts)
    span = (last - first) * time_base if first is not None else Fraction(0)
    if count > 1 and span > 0:
        rate = ((count - 1) / span).limit_denominator(1001)
    return rate, float(span + 1 / rate), count


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is turned for display: swap the axes first, then flip the results."""

    swap: bool
    flip_x: bool
    flip_y: bool

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """From the display matrix: (x, y) goes to (a x + c y, b x + d y); only right angles are honoured."""
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return cls(False, False, False)
        a, b, _, c, d = struct.unpack("=9i", bytes(matrix))[:5]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def degrees(self) -> int:
        """Counterclockwise rotation, leaving out mirroring."""
        if self.swap:
            return 90 if self.flip_y else 270
        return 180 if self.flip_y else 0

    def apply(self, image: torch.Tensor) -> torch.Tensor:
        """[H, W, 3] as stored -> [H', W', 3] upright."""
        if self.swap:
            image = image.transpose(0, 1)
        flipped = [axis for axis, flip in ((0, self.flip_y), (1, self.flip_x)) if flip]
        return (torch.flip(image, flipped) if flipped else image).contiguous()
