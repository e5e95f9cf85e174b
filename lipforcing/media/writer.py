"""Writing video: one encode, the source's size, times and colours, with its sound; whole or not at all."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch

from ..errors import InputError
from .audio import Audio, AudioSource
from .colour import BT709, FULL, LIMITED, RGB, Colour, FromRgb, tag
from .info import VideoInfo
from .soundtrack import add_soundtrack
from .source import WORTH_THREADS, Source
from .timestamps import output_time_base

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}

DEFAULT_COLOUR = Colour(BT709, LIMITED, BT709, BT709)
DEFAULT_CRF = 16
# Against "medium": the same file size, under 1 dB less of 47 to 49 dB, and 0.4 of the time.
DEFAULT_PRESET = "veryfast"


def check_output(path: str | os.PathLike, sources: Sequence[Source] = ()) -> Path:
    """Say early that a result cannot be written: call before any work.

    Raises:
        InputError: unknown file type, missing or unwritable folder, a folder of that name, or the path of a source.
    """
    path = Path(path)
    if path.suffix.lower() not in _CONTAINERS:
        raise InputError(f"{path}: cannot write {path.suffix or 'this'} files; name the output .mp4, .mov or .mkv.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} of the output does not exist; create it or choose another one.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of the video file to write in it.")
    for source in sources:
        if isinstance(source, io.BytesIO) or not (path.exists() and os.path.exists(source)):
            continue
        if os.path.samefile(path, source):
            raise InputError(f"{path} is the input itself; choose another name for the output.")
    probe_file = _temporary(path)
    try:
        probe_file.open("xb").close()
    except OSError as error:
        raise InputError(
            f"Cannot write into {path.parent} ({(error.strerror or str(error)).lower()}); choose another output folder."
        ) from error
    probe_file.unlink()
    return path


class VideoWriter:
    """Context manager that writes one video file; it appears under its name only when all went well.

    Everything is written to a hidden file in the same folder, which is renamed at the end, or removed when the
    ``with`` block is left by an exception (a cancelled run as well). Memory does not grow with the length.

    H.264 at 4:2:0, or at 4:4:4 where width or height is odd (4:2:0 has no odd sizes, and the size is kept). Frames
    keep their times to a tick of the source's clock. ``lossless``: H.264 of the RGB values themselves, decoded to
    exactly the pixels written; few players show it, editors and :class:`VideoReader` do.

    Args:
        path: .mp4, .mov or .mkv (Matroska rounds times to milliseconds).
        width, height: of the frames that will be written.
        frame_rate: average frames per second.
        time_base: the source's clock; None derives one from the frame rate.
        colour: of the source, else BT.709 limited range. What it leaves open is filled in as players would.
        pixel_aspect: width of a pixel divided by its height.
        audio: sound, cut at the end of the last frame. See :func:`~.soundtrack.add_soundtrack` for copying.
        pad_audio: append silence where the sound is shorter than the pictures.
        crf: x264's quality, lower is better; 16 can hardly be told from the source.
        preset: x264's speed.
        lossless: as above; ``crf`` and ``colour`` then do not matter.
        metadata: tags of the container; values that are not strings are written as JSON.
        sources: input files, which must not be overwritten (that of ``audio`` is known).

    Raises:
        InputError: the file cannot be written (:func:`check_output`), or ``audio`` has no samples.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        width: int,
        height: int,
        frame_rate: Fraction,
        *,
        time_base: Fraction | None = None,
        colour: Colour = DEFAULT_COLOUR,
        pixel_aspect: Fraction = Fraction(1),
        audio: Audio | AudioSource | None = None,
        pad_audio: bool = False,
        crf: float = DEFAULT_CRF,
        preset: str = DEFAULT_PRESET,
        lossless: bool = False,
        metadata: Mapping[str, object] | None = None,
        sources: Sequence[Source] = (),
    ):
        sound_file = (audio.source,) if isinstance(audio, AudioSource) else ()
        self.path = check_output(path, (*sources, *sound_file))
        self._temporary = _temporary(self.path)
        self._frame_rate = Fraction(frame_rate)
        self._time_base = output_time_base(time_base or 1 / self._frame_rate, self._frame_rate)
        self._size = (height, width)
        self._colour = colour.resolved(width, height)
        self._lossless = lossless
        self._last_pts: int | None = None
        self._waiting: av.Packet | None = None
        self._sound = None
        self._closed = False
        self._container = self._open(metadata or {})
        try:
            self._video = self._add_video(crf, preset, pixel_aspect)
            coded = FromRgb(self._video.pix_fmt, self._colour)
            self._as_frame = partial(av.VideoFrame.from_ndarray, format="rgb24") if lossless else coded
            if audio is not None:
                self._sound = add_soundtrack(self._container, audio, pad_audio, lossless)
        except BaseException:
            self.discard()
            raise

    @classmethod
    def like(cls, path: str | os.PathLike, info: VideoInfo, **options) -> VideoWriter:
        """A writer with the size, rate, clock, colours and pixel shape of a source, which it refuses to overwrite."""
        given = {"time_base": info.time_base, "colour": info.colour, "pixel_aspect": info.pixel_aspect, **options}
        given["sources"] = (info.path, *options.get("sources", ()))
        return cls(path, info.width, info.height, info.frame_rate, **given)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def write(self, image: torch.Tensor, time: float) -> None:
        """Append a frame: uint8 [H, W, 3] RGB on any device, shown from ``time`` seconds on.

        Raises:
            ValueError: another size or type than announced.
        """
        if image.shape != (*self._size, 3) or image.dtype != torch.uint8:
            raise ValueError(f"expected uint8 {(*self._size, 3)}, got {image.dtype} {tuple(image.shape)}")
        pixels = np.ascontiguousarray(image.cpu().numpy())
        frame = self._as_frame(pixels)
        pts = round(time / self._time_base)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
        frame.pts, frame.time_base = pts, self._time_base
        self._last_pts = pts
        self._mux_video(self._video.encode(frame))
        if self._sound:
            self._sound.write_until(time)

    def close(self, end: float | None = None) -> None:
        """Finish the file and give it its name; done by the end of the ``with`` block where it was not done before.

        Args:
            end: seconds at which the last frame ends; None gives it the length of an average frame.

        Raises:
            ValueError: no frame was written.
        """
        if self._closed:
            return
        try:
            if self._last_pts is None:
                raise ValueError("no frame was written")
            last = self._last_pts * self._time_base
            stop = max(Fraction(end), last + self._time_base) if end is not None else last + 1 / self._frame_rate
            self._mux_video(self._video.encode(None))
            self._waiting.duration = round((stop - last) / self._waiting.time_base)
            self._container.mux(self._waiting)
            if self._sound:
                self._sound.finish(float(stop))
                self._sound.close()
            self._container.close()
            os.replace(self._temporary, self.path)
            self._closed = True
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Stop and leave nothing behind; the finished file of an earlier :meth:`close` stays."""
        if self._sound:
            self._sound.close()
        with suppress(av.error.FFmpegError):  # a file without packets has no valid ending; it is removed anyway
            self._container.close()
        self._temporary.unlink(missing_ok=True)

    def _open(self, metadata: Mapping[str, object]) -> av.container.OutputContainer:
        kind = _CONTAINERS[self.path.suffix.lower()]
        # Own tags (a workflow) survive only with use_metadata_tags; faststart lets players begin before the last byte.
        flags = {"movflags": "use_metadata_tags+faststart"} if kind != "matroska" else {}
        container = av.open(str(self._temporary), "w", format=kind, container_options=flags)
        for key, value in metadata.items():
            container.metadata[key] = value if isinstance(value, str) else json.dumps(value)
        return container

    def _add_video(self, crf: float, preset: str, pixel_aspect: Fraction) -> av.VideoStream:
        height, width = self._size
        stream = self._container.add_stream("libx264rgb" if self._lossless else "libx264", rate=self._frame_rate)
        stream.width, stream.height = width, height
        context = stream.codec_context
        if self._lossless:
            stream.pix_fmt = "rgb24"
            stream.options = {"crf": "0", "preset": preset}
            tag(context, replace(self._colour, matrix=RGB, range=FULL))
        else:
            stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
            stream.options = {"crf": str(crf), "preset": preset}
            tag(context, self._colour)
        if width * height < WORTH_THREADS:
            context.thread_count = 1
        context.time_base = self._time_base
        context.sample_aspect_ratio = pixel_aspect
        # MP4 stores durations in decoding order; reordered frames of uneven length would get each other's.
        context.max_b_frames = 0
        return stream

    def _mux_video(self, packets: Sequence[av.Packet]) -> None:
        """Write packets one late: only the next one tells how long a frame lasts."""
        for packet in packets:
            if self._waiting is not None:
                self._waiting.duration = packet.pts - self._waiting.pts
                self._container.mux(self._waiting)
            self._waiting = packet


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part")
