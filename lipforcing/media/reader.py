"""Reading video as upright RGB frames with trustworthy times."""

from __future__ import annotations

import struct
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import torch

from ..errors import InputError
from .colour import Colour, colour_of, to_rgb
from .source import Source, audio_stream, name_of, open_media, video_stream
from .timestamps import FrameClock

# Frames of one video are compared with this tolerance in seconds at the borders of a trim window.
_EDGE = 1e-4

# How many frames before a wanted one a second, earlier seek aims at. A seek can land on a key frame whose leading
# frames the decoder has to drop (open groups of pictures), and then the wanted frame is missing.
_EARLIER = 64


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


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: ``image`` uint8 [H, W, 3] RGB upright, ``time`` in seconds from the first frame read.

    ``pts`` is the timestamp in the file (None where missing) and ``index`` the number of the source frame.
    """

    image: torch.Tensor = field(repr=False)
    time: float
    pts: int | None
    index: int


def probe(source: Source) -> VideoInfo:
    """Open a video, decode its first frame and say what it is.

    Raises:
        InputError: missing, a folder, not a media file, no video stream, no frame that can be decoded.
    """
    with open_media(source) as container:
        stream = _video_stream(container, source)
        frame = next((decoded for decoded in _decode(container, stream) if decoded is not None), None)
        if frame is None:
            raise InputError(
                f"{name_of(source)} has a video stream but no frame in it can be decoded; "
                "it may be cut off or damaged: export it again."
            )
        turn = _Orientation.of(frame)
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


class VideoReader:
    """A video as a stream of frames, optionally a window of it.

    ``info`` describes what is read (with a window: its duration, no frame count). Iterating, or calling
    :meth:`frames`, starts a new pass from the first frame; passes are independent and hold only the decoder's own few
    frames. After a complete pass, :meth:`segment` reads any run of frames again without the ones before it.

    Args:
        source: path, or the file's bytes as BytesIO.
        start: the first frame is the first one that starts at or after this many seconds of the file.
        duration: seconds to read from ``start`` on; None reads to the end.

    Raises:
        InputError: as :func:`probe`, or the window lies outside the video. While reading: the picture's size changes.
    """

    def __init__(self, source: Source, start: float = 0.0, duration: float | None = None):
        self.source = source
        self.start = start
        self.end = float("inf") if duration is None else start + duration
        self.damaged_packets = 0
        """Packets of the latest pass that could not be decoded; the frames in them are missing."""
        info = probe(source)
        if start > 0 or duration is not None:
            length = min(self.end, info.duration) - start
            if length <= 0:
                raise InputError(
                    f"{name_of(source)} lasts {info.duration:.2f} s, so nothing is left of it from "
                    f"{start:.2f} s on; choose an earlier start or a longer duration."
                )
            info = replace(info, duration=length, frame_count=None)
        self.info = info
        self._colour = info.colour.resolved(info.width, info.height)
        # Timestamp and time of every frame reached so far (16 bytes a frame): what segment() seeks and matches by.
        self._pts, self._times = array("q"), array("d")
        self._ordered = True
        self._passes: weakref.WeakSet = weakref.WeakSet()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_) -> None:
        """Close the files of passes that were left half way."""
        for running in list(self._passes):
            running.close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self) -> Iterator[Frame]:
        """All frames in display order; times strictly increase from 0."""
        generator = self._frames()
        self._passes.add(generator)
        return generator

    @property
    def frames_read(self) -> int:
        """Number of frames that passes have reached so far; the video's length after a complete pass."""
        return len(self._times)

    @property
    def last_time(self) -> float:
        """Time in seconds of the last frame that passes have reached."""
        return self._times[-1]

    def segment(self, first: int, end: int) -> list[Frame]:
        """Frames ``first`` to ``end`` - 1 once more; a pass must have reached them before."""
        for seek in self._ways_to(first):
            frames = self._segment(first, end, seek)
            if frames is not None:
                return frames
        raise InputError(f"{name_of(self.source)} gave other frames when read again; is it still being written?")

    def _frames(self) -> Iterator[Frame]:
        index, zero = 0, None
        for pts, time, decoded in self._timed():
            if zero is None:
                zero = time
            time -= zero
            if index == len(self._times):
                self._ordered &= pts is not None and (index == 0 or pts > self._pts[-1])
                self._pts.append(0 if pts is None else pts)
                self._times.append(time)
            yield Frame(self._upright(decoded, time), time, pts, index)
            index += 1
        if not index:
            raise InputError(
                f"{name_of(self.source)} has no frame from {self.start:.2f} s on; choose an earlier start."
            )

    def _timed(self) -> Iterator[tuple[int | None, float, av.VideoFrame]]:
        """Decoded frames of the window with their times from the file's first frame."""
        info = self.info
        target = None
        if self.start > 0 and info.first_pts is not None:
            target = info.first_pts + round(self.start / info.time_base)
        for seek in (target, None):
            clock = FrameClock(info.time_base, info.frame_rate, info.first_pts)
            arrived = False
            for decoded in self._decoded(seek):
                time = clock.seconds(decoded.pts)
                if not arrived and seek is not None and time > self.start + _EDGE:
                    break  # the seek went too far: begin at the beginning
                arrived = True
                if time >= self.end - _EDGE:
                    return
                if time >= self.start - _EDGE:
                    yield decoded.pts, time, decoded
            if arrived or seek is None:
                return

    def _decoded(self, seek: int | None) -> Iterator[av.VideoFrame]:
        self.damaged_packets = 0
        with open_media(self.source) as container:
            stream = _video_stream(container, self.source)
            stream.thread_type = "AUTO"
            if seek is not None:
                container.seek(seek, stream=stream)
            for frame in _decode(container, stream):
                if frame is None:
                    self.damaged_packets += 1
                else:
                    yield frame

    def _upright(self, frame: av.VideoFrame, time: float) -> torch.Tensor:
        image = _Orientation.of(frame).apply(torch.from_numpy(to_rgb(frame, self._colour)))
        if image.shape[:2] != (self.info.height, self.info.width):
            raise InputError(
                f"{name_of(self.source)} changes its picture from {self.info.width}x{self.info.height} to "
                f"{image.shape[1]}x{image.shape[0]} at {time:.2f} s; cut it there or export it at one size."
            )
        return image

    def _ways_to(self, first: int) -> list[int | None]:
        """Timestamps to seek to for a frame, from the quickest to the safest (None: decode from the start)."""
        if not self._ordered:
            return [None]
        return [self._pts[first], self._pts[max(first - _EARLIER, 0)], None]

    def _segment(self, first: int, end: int, seek: int | None) -> list[Frame] | None:
        """The frames, or None when they are not all found after this seek."""
        frames: list[Frame] = []
        if seek is None:
            passing = self._timed()
            for index, (pts, _, decoded) in enumerate(passing):
                if index >= first:
                    frames.append(Frame(self._upright(decoded, self._times[index]), self._times[index], pts, index))
                if index == end - 1:
                    break
            passing.close()
            return frames if len(frames) == end - first else None
        for decoded in self._decoded(seek):
            index = first + len(frames)
            pts, time = self._pts[index], self._times[index]
            if decoded.pts is None or decoded.pts > pts:
                return None
            if decoded.pts == pts:
                frames.append(Frame(self._upright(decoded, time), time, pts, index))
            if len(frames) == end - first:
                return frames
        return None


def _video_stream(container: av.container.InputContainer, source: Source) -> av.VideoStream:
    stream = video_stream(container)
    if stream is None:
        found = "only sound" if container.streams.audio else "neither pictures nor sound"
        raise InputError(f"{name_of(source)} has no video stream ({found}); give a video file here.")
    return stream


def _decode(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame | None]:
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
        stream = _video_stream(container, source)
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
class _Orientation:
    """How the stored picture is turned for display: swap the axes first, then flip the results."""

    swap: bool
    flip_x: bool
    flip_y: bool

    @classmethod
    def of(cls, frame: av.VideoFrame) -> _Orientation:
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
