"""What a video file is: size, rate, length, colours, orientation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av

from ..errors import InputError
from .colour import Colour, colour_of
from .encoding import PictureFormat
from .hdr import Hdr
from .orientation import UPRIGHT, Orientation
from .pixels import layout_of, samples, unpacked
from .source import Source, audio_stream, name_of, open_media, video_stream


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before reading it through.

    ``width`` and ``height`` are those of the upright picture. ``frame_rate`` is the average, ``duration`` in seconds
    including the last frame, ``frame_count`` None where the file does not say. ``orientation`` tells how the stored
    picture is turned for display. ``pixel_format`` is that of the stored picture, after :func:`~.pixels.unpacked`.
    ``pixel_aspect`` is the width of an upright pixel divided by its height. ``transparent``: the first frame is not
    opaque everywhere. ``interlaced``: frames are two fields. ``hdr``: metadata of a high-dynamic-range master.
    """

    path: Source
    width: int
    height: int
    frame_rate: Fraction
    duration: float
    frame_count: int | None
    has_audio: bool
    colour: Colour
    pixel_format: str
    bit_depth: int
    pixel_aspect: Fraction
    time_base: Fraction
    first_pts: int | None
    orientation: Orientation = UPRIGHT
    transparent: bool = False
    interlaced: bool = False
    hdr: Hdr | None = None

    @property
    def rotation(self) -> int:
        """Degrees by which the stored picture is turned counterclockwise for display (0, 90, 180, 270)."""
        return self.orientation.degrees

    @property
    def pictures(self) -> PictureFormat:
        """What an encoding depends on."""
        return PictureFormat(
            self.width,
            self.height,
            self.pixel_format,
            self.colour,
            self.orientation,
            self.transparent,
            self.interlaced,
            self.hdr,
        )


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
        turn, picture = Orientation.of(frame), unpacked(frame)
        layout = layout_of(picture.format.name)
        width, height = turn.size(frame.width, frame.height)
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        rate, duration, count = _extent(source, container, stream)
        return VideoInfo(
            path=source,
            width=width,
            height=height,
            frame_rate=rate,
            duration=duration,
            frame_count=count,
            has_audio=audio_stream(container) is not None,
            colour=colour_of(stream.codec_context),
            pixel_format=layout.name,
            bit_depth=layout.bits,
            pixel_aspect=1 / aspect if turn.swap else aspect,
            time_base=stream.time_base,
            first_pts=frame.pts,
            orientation=turn,
            transparent=layout.alpha and bool((samples(picture, layout.alpha_number) < layout.opaque).any()),
            interlaced=frame.interlaced_frame,
            hdr=Hdr.of(frame),
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
