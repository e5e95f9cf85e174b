"""Reading video as pictures, as they were decoded, with trustworthy times."""

from __future__ import annotations

import weakref
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import av
import torch

from ..errors import InputError
from .info import decode_video, open_video_stream, probe
from .orientation import Orientation
from .picture import DecodedPicture, Picture
from .pixels import unpacked
from .source import WORTH_THREADS, Source, name_of, open_media
from .timestamps import FrameClock, with_next

# Frames of one video are compared with this tolerance in seconds at the borders of a trim window.
_EDGE = 1e-4

# How many frames before a wanted one a second, earlier seek aims at. A seek can land on a key frame whose leading
# frames the decoder has to drop (open groups of pictures), and then the wanted frame is missing.
_EARLIER = 64


@dataclass(frozen=True, eq=False)
class Frame:
    """One ``picture``, shown from ``time`` on, in seconds from the first frame read.

    ``pts`` is the timestamp in the file (None where missing) and ``index`` the number of the source frame.
    """

    picture: Picture = field(repr=False)
    time: float
    pts: int | None
    index: int

    @property
    def image(self) -> torch.Tensor:
        """The whole picture, uint8 [H, W, 3] RGB upright, converted each time."""
        return self.picture.rgb()


class VideoReader:
    """A video as a stream of frames, optionally a window of it.

    ``info`` describes what is read, with a window: its duration and number of frames. Iterating, or calling
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
        """Packets of a pass that could not be decoded whole; the frames in them are missing or damaged."""
        info = probe(source)
        if start > 0 or duration is not None:
            length = min(self.end, info.duration) - start
            if length <= 0:
                raise InputError(
                    f"{name_of(source)} lasts {info.duration:.2f} s, so nothing is left of it from "
                    f"{start:.2f} s on; choose an earlier start or a longer duration."
                )
            shown = bisect_left(info.times.pictures, self.end - _EDGE) - bisect_left(info.times.pictures, start - _EDGE)
            info = replace(info, duration=length, frame_count=shown)
        self.info = info
        self._colour = info.pictures.resolved_colour
        self._turns: dict[int, Orientation] = {}
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

    def segment(self, first: int, end: int) -> list[Frame]:
        """Frames ``first`` to ``end`` - 1 once more; a pass must have reached them before."""
        for seek in self._ways_to(first):
            found = self._by_number(first, end) if seek is None else self._by_pts(first, end, seek)
            frames = []
            for index, decoded in found:
                time = self._times[index]
                frames.append(Frame(self._picture(decoded, time), time, decoded.pts, index))
            if len(frames) == end - first:
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
            yield Frame(self._picture(decoded, time), time, pts, index)
            index += 1
        if not index:
            raise InputError(
                f"{name_of(self.source)} has no frame from {self.start:.2f} s on; choose an earlier start."
            )

    def _timed(self) -> Iterator[tuple[int | None, float, av.VideoFrame]]:
        """Decoded frames of the window with their times from the file's first frame."""
        info = self.info
        target = None
        if self.start > 0 and info.first_pts is not None and not info.times.joined:
            target = info.first_pts + round(self.start / info.time_base)
        for seek in (target, None):
            clock = FrameClock(info.time_base, info.frame_rate, info.first_pts, info.times.jumps)
            arrived = False
            for decoded, following in with_next(self._decoded(seek)):
                time = clock.seconds(decoded.pts, following and following.pts)
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
        damaged = 0
        with open_media(self.source) as container:
            stream = open_video_stream(container, self.source)
            stream.thread_type = "AUTO" if stream.width * stream.height >= WORTH_THREADS else "NONE"
            if seek is not None:
                container.seek(seek, stream=stream)
            for frame in decode_video(container, stream):
                damaged += frame is None or frame.is_corrupt
                self.damaged_packets = max(self.damaged_packets, damaged)
                if frame is not None:
                    yield frame

    def _picture(self, frame: av.VideoFrame, time: float) -> DecodedPicture:
        # Looking at side data ties a frame to itself until the garbage collector comes, which is gigabytes later.
        if frame.rotation not in self._turns:
            self._turns[frame.rotation] = Orientation.of(frame)
        picture = DecodedPicture(unpacked(frame), self._colour, self._turns[frame.rotation])
        if (picture.height, picture.width) != (self.info.height, self.info.width):
            raise InputError(
                f"{name_of(self.source)} changes its picture from {self.info.width}x{self.info.height} to "
                f"{picture.width}x{picture.height} at {time:.2f} s; cut it there or export it at one size."
            )
        return picture

    def _ways_to(self, first: int) -> list[int | None]:
        """Timestamps to seek to for a frame, from the quickest to the safest (None: decode from the start)."""
        if not self._ordered:
            return [None]
        return [self._pts[first], self._pts[max(first - _EARLIER, 0)], None]

    def _by_number(self, first: int, end: int) -> Iterator[tuple[int, av.VideoFrame]]:
        for index, (_, _, decoded) in enumerate(self._timed()):
            if index >= first:
                yield index, decoded
            if index == end - 1:
                return

    def _by_pts(self, first: int, end: int, seek: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Ends early where a frame is not found at its timestamp: the seek went too far."""
        index = first
        for decoded in self._decoded(seek):
            if decoded.pts is None or decoded.pts > self._pts[index]:
                return
            if decoded.pts == self._pts[index]:
                yield index, decoded
                index += 1
            if index == end:
                return
