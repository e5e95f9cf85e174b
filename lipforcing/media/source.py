"""Opening media files: one place that turns FFmpeg's many failures into one clear sentence."""

from __future__ import annotations

import io
import os

import av

from ..errors import InputError

Source = str | os.PathLike | io.BytesIO

# A playlist can name addresses on the network; only what the user gave is ever opened. And a name is one file's, not a
# pattern for many ("take%d.png").
_THIS_FILE_ONLY = {"protocol_whitelist": "file", "pattern_type": "none"}

# Tags in a foreign encoding must not make a playable file unreadable. PyAV 19 reads them anyhow and refuses the option.
_ANY_TAGS = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}

# Below this many pixels a codec spends more time handing frames between threads than coding them.
WORTH_THREADS = 400 * 400


def url_of(path: str | os.PathLike) -> str:
    """A path as FFmpeg takes it: else it reads what stands before a colon as a protocol."""
    return f"file:{os.fspath(path)}"


def name_of(source: Source) -> str:
    """How error messages call a source: its path, or a phrase for bytes in memory."""
    return "the media in memory" if isinstance(source, io.BytesIO) else os.fspath(source)


def open_media(source: Source) -> av.container.InputContainer:
    """Open a media file or a BytesIO for reading; several may be open on one source at the same time.

    Raises:
        InputError: missing, a folder or a pipe, not readable, or not a media file.
    """
    name = name_of(source)
    if isinstance(source, io.BytesIO):
        # A container moves the read position of what it reads, so each gets a view of its own (the bytes are shared).
        target: str | io.BytesIO = io.BytesIO(source.getvalue())
    else:
        target = url_of(name)
        if not os.path.exists(name):
            raise InputError(f"{name}: there is no such file; check the path.")
        if os.path.isdir(name):
            raise InputError(f"{name} is a folder; give the path of a media file in it.")
        if not os.path.isfile(name):
            raise InputError(f"{name} is a pipe or a device, which can be read once only; copy it into a file first.")
        if not os.access(name, os.R_OK):
            raise InputError(f"{name} cannot be read; check its permissions.")
    try:
        return av.open(target, options=dict(_THIS_FILE_ONLY), **_ANY_TAGS)
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise InputError(
            f"{name} is not a media file that FFmpeg can read ({_reason(error)}); "
            "it may be damaged or cut off: export it again, for example as MP4."
        ) from error


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".").lower()


def video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first decodable moving picture of a container; cover art of music files does not count."""
    for stream in container.streams.video:
        cover_art = stream.disposition & av.stream.Disposition.attached_pic
        # FFmpeg renders plain text as a picture of a terminal; nobody means that.
        if stream.codec_context is not None and not cover_art and stream.codec_context.name != "ansi":
            return stream
    return None


def audio_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The default decodable audio stream, else the first one.

    A stream without a codec context has no decoder here (spatial audio of some phones); decoding it would crash.
    """
    decodable = [stream for stream in container.streams.audio if stream.codec_context is not None]
    default = (s for s in decodable if s.disposition & av.stream.Disposition.default)
    return next(default, decodable[0] if decodable else None)
