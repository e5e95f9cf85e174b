"""Writing video: one encode, the source's size, times and colours, with its sound; whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import torch
from av.codec.context import Flags
from av.video.frame import PictureType

from ..errors import InputError
from ..output import check_new_file, temporary_beside, writing
from .audio import Audio, AudioSource
from .colour import Colour, tag
from .encoding import CONTAINERS, DEFAULT_COLOUR, DEFAULT_PRESET, CodecChoice, PictureFormat, encoding_for
from .info import VideoInfo
from .picture import ImagePicture, Picture
from .soundtrack import add_soundtrack
from .source import WORTH_THREADS, Source, url_of
from .timestamps import output_time_base


def check_output(path: str | os.PathLike, sources: Sequence[Source] = ()) -> Path:
    """Say early that a result cannot be written: call before any work.

    Raises:
        InputError: unknown file type, or as :func:`~lipforcing.output.check_new_file`.
    """
    path = Path(path)
    if path.suffix.lower() not in CONTAINERS and not path.is_dir():
        raise InputError(f"{path}: cannot write {path.suffix or 'this'} files; name the output .mp4, .mov or .mkv.")
    return check_new_file(path, sources)


class VideoWriter:
    """Context manager that writes one video file; it appears under its name only when all went well.

    Everything is written to a hidden file in the same folder, which is renamed at the end, or removed when the
    ``with`` block is left by an exception (a cancelled run as well). With ``keep_partial`` the file is finished there
    and kept instead, if any frame was written. Then a .mkv also grows under its own name and can be played up to its
    last second at any moment, whatever becomes of the program; .mp4 and .mov have their index written at the end.
    Memory does not grow with the length.

    Pictures go to the encoder as they are where they have its format; ``encoding`` tells how they are coded (see
    :func:`~.encoding.encoding_for`). Frames keep their times to a tick of the source's clock.

    Args:
        path: .mp4, .mov or .mkv (Matroska rounds times to milliseconds).
        width, height: of the pictures that will be written.
        frame_rate: average frames per second.
        time_base: the source's clock; None derives one from the frame rate.
        colour: of RGB that will be written. What it leaves open is filled in as players would.
        pictures: what will be written, where it is not RGB; its size and colour then count.
        pixel_aspect: width of a pixel divided by its height.
        audio: sound, cut at the end of the last frame. See :func:`~.soundtrack.add_soundtrack` for copying.
        pad_audio: append silence where the sound is shorter than the pictures.
        codec, quality, lossless, preset: see :func:`~.encoding.encoding_for`.
        metadata: tags of the container; values that are not strings are written as JSON.
        sources: input files, which must not be overwritten (that of ``audio`` is known).
        keep_partial: keep what was written when the block is left by an exception.

    Raises:
        InputError: the file cannot be written, at first (:func:`check_output`, :func:`~.encoding.encoding_for`) or
            later on (the disk is full), or ``audio`` has no samples.
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
        pictures: PictureFormat | None = None,
        pixel_aspect: Fraction = Fraction(1),
        audio: Audio | AudioSource | None = None,
        pad_audio: bool = False,
        codec: CodecChoice = "auto",
        quality: float | None = None,
        lossless: bool = False,
        preset: str = DEFAULT_PRESET,
        metadata: Mapping[str, object] | None = None,
        sources: Sequence[Source] = (),
        keep_partial: bool = False,
    ):
        sound_file = (audio.source,) if isinstance(audio, AudioSource) else ()
        self.path = check_output(path, (*sources, *sound_file))
        # A Matroska file that is kept whatever comes grows where everybody can look at it.
        self._temporary = self.path if keep_partial and self._grows() else temporary_beside(self.path)
        self._keep_partial = keep_partial
        self._frame_rate = Fraction(frame_rate)
        self._time_base = output_time_base(time_base or 1 / self._frame_rate, self._frame_rate)
        self._size = (height, width)
        options = {"codec": codec, "quality": quality, "lossless": lossless, "preset": preset}
        self.encoding = encoding_for(self.path, pictures or PictureFormat(width, height, colour=colour), **options)
        self._last_pts: int | None = None
        self._waiting: av.Packet | None = None
        self._sound = None
        self._closed = False
        self.seconds = 0.0
        """How long the finished file lasts."""
        self._container = self._open(metadata or {})
        try:
            self._video = self._add_video(pixel_aspect)
            if audio is not None:
                self._sound = add_soundtrack(self._container, audio, pad_audio, self.encoding.lossless)
        except BaseException:
            self.discard()
            raise

    @classmethod
    def like(cls, path: str | os.PathLike, info: VideoInfo, **options) -> VideoWriter:
        """A writer with the size, rate, clock, colours and pixel shape of a source, which it refuses to overwrite."""
        own = {"colour": info.colour, "pictures": info.pictures, "pixel_aspect": info.pixel_aspect}
        given = {"time_base": info.time_base, **own, **options}
        given["sources"] = (info.path, *options.get("sources", ()))
        return cls(path, info.width, info.height, info.frame_rate, **given)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None or (self._keep_partial and self._last_pts is not None):
            self.close()
        else:
            self.discard()

    def write(self, picture: Picture | torch.Tensor, time: float) -> None:
        """Append a picture, or uint8 [H, W, 3] RGB on any device, shown from ``time`` seconds on.

        Raises:
            ValueError: another size or type than announced.
        """
        if isinstance(picture, torch.Tensor):
            if picture.shape != (*self._size, 3) or picture.dtype != torch.uint8:
                raise ValueError(f"expected uint8 {(*self._size, 3)}, got {picture.dtype} {tuple(picture.shape)}")
            picture = ImagePicture(picture)
        if (picture.height, picture.width) != self._size:
            raise ValueError(f"expected a picture of {self._size}, got {(picture.height, picture.width)}")
        frame = picture.coded(self.encoding.raster)
        frame.pict_type = PictureType.NONE  # the encoder would repeat the source's choice of key frames
        pts = round(time / self._time_base)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
        frame.pts, frame.time_base = pts, self._time_base
        self._last_pts = pts
        with writing(self.path):
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
            with writing(self.path):
                self._mux_video(self._video.encode(None))
                self._waiting.duration = round((stop - last) / self._waiting.time_base)
                self._container.mux(self._waiting)
                if self._sound:
                    self._sound.finish(float(stop))
                    self._sound.close()
                self._container.close()
                os.replace(self._temporary, self.path)
            self.seconds = float(stop)
            self._closed = True
        except BaseException:
            if self._temporary == self.path and self._last_pts is not None:
                self._stop()  # what stands in a file that grows can be played
            else:
                self._remove()
            raise

    def discard(self) -> None:
        """Stop and leave nothing behind; the finished file of an earlier :meth:`close` stays."""
        if not self._closed:
            self._remove()

    def _remove(self) -> None:
        self._stop()
        self._temporary.unlink(missing_ok=True)

    def _stop(self) -> None:
        self._closed = True
        if self._sound:
            self._sound.close()
        with suppress(av.error.FFmpegError):  # without packets there is no valid ending
            self._container.close()

    def _grows(self) -> bool:
        """Whether the file can be read before it is finished."""
        return CONTAINERS[self.path.suffix.lower()] == "matroska"

    def _open(self, metadata: Mapping[str, object]) -> av.container.OutputContainer:
        kind = CONTAINERS[self.path.suffix.lower()]
        # Own tags (a workflow) survive only with use_metadata_tags; faststart lets players begin before the last byte.
        flags = {"movflags": "use_metadata_tags+faststart"}
        if self._grows():
            # A cluster, the smallest part that can be played, is written once it is whole: here every second.
            flags = {"cluster_time_limit": "1000", "flush_packets": "1"} if self._keep_partial else {}
        container = av.open(url_of(self._temporary), "w", format=kind, container_options=flags)
        for key, value in metadata.items():
            container.metadata[key] = value if isinstance(value, str) else json.dumps(value)
        return container

    def _add_video(self, pixel_aspect: Fraction) -> av.VideoStream:
        coding, raster = self.encoding, self.encoding.raster
        stream = self._container.add_stream(coding.encoder, rate=self._frame_rate)
        stream.width, stream.height, stream.pix_fmt = raster.width, raster.height, raster.pixel_format
        stream.options = dict(coding.options)
        context = stream.codec_context
        tag(context, coding.tagged_colour)
        if coding.tag:
            context.codec_tag = coding.tag
        if coding.interlaced:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        if raster.width * raster.height < WORTH_THREADS:
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
