"""What a video file is: size, rate, length, colours, orientation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av

from ..errors import InputError
from .colour import Colour, colour_of
from .encoding import PictureFormat
from .hdr import Hdr
from .orientation import UPRIGHT, Orientation
from .packets import FileTimes, file_times
from .pixels import layout_of, samples, unpacked
from .source import Source, audio_stream, name_of, open_media, video_stream


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before reading it through.

    ``width`` and ``height`` are those of the upright picture. ``frame_rate`` is the average, ``duration`` in seconds
    including the last frame, and ``frame_count`` are what the packets say, see :mod:`~.packets`; fewer frames come of
    it where some cannot be decoded. ``orientation`` tells how the stored picture is turned for display.
    ``pixel_format`` is that of the stored picture, after :func:`~.pixels.unpacked`.
    ``pixel_aspect`` is the width of an upright pixel divided by its height. ``transparent``: the first frame is not
    opaque everywhere. ``interlaced``: frames are two fields. ``hdr``: metadata of a high-dynamic-range master.
    ``times`` are the file's; pictures in memory have none.
    """

    path: Source
    width: int
    height: int
    frame_rate: Fraction
    duration: float
    frame_count: int
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
    times: FileTimes | None = field(default=None, repr=False)

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
    """Open a video, decode its first frame, read all packets and say what it is.

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
        times = file_times(source, frame.pts)
        return VideoInfo(
            path=source,
            width=width,
            height=height,
            frame_rate=times.rate,
            duration=times.end,
            frame_count=len(times.pictures),
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
            times=times,
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
            except av.error.FFmpegError:
                yield None
    except av.error.FFmpegError:
        # The file ends in the middle of something: what came before it is all there is.
        yield None
