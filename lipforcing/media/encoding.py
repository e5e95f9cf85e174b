"""How a result is coded: decided from the source, the container and what is asked for, before any work.

    source                          lossy                                       lossless
    8 bits                          H.264                                       H.264 where it has the pixel format,
    10, 12 bits                     HEVC (interlaced: H.264, HEVC has none)     else FFV1, which only .mkv holds
    transparent                     ProRes 4444 in .mov, VP9 in .mkv

A lossy result keeps the source's depth and chroma sampling; RGB, grey and JPEG become 4:2:0, as players expect them. A
size that chroma blocks do not fill is filled by repeating the last row or column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Literal

import av

from ..errors import InputError
from .colour import BT709, CENTRE, FULL, LEFT, LIMITED, RGB, Colour
from .convert import Raster
from .hdr import Hdr
from .orientation import UPRIGHT, Orientation
from .pixels import Grid, Layout, layout_of

CodecChoice = Literal["auto", "h264", "hevc", "prores", "vp9", "ffv1"]

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}

DEFAULT_COLOUR = Colour(BT709, LIMITED, BT709, BT709)
# Hardly to be told from the source.
DEFAULT_QUALITY = 16
# Against "medium": the same file size, under 1 dB less of 47 to 49 dB, and 0.4 of the time.
DEFAULT_PRESET = "veryfast"


@dataclass(frozen=True)
class _Codec:
    title: str
    encoder: str
    containers: tuple[str, ...]
    has_quality: bool
    has_lossless: bool
    formats: tuple[str, ...] = ()  # None given: all that the encoder names


_CODECS = {
    "h264": _Codec("H.264", "libx264", ("mp4", "mov", "matroska"), True, True),
    "hevc": _Codec("HEVC", "libx265", ("mp4", "mov", "matroska"), True, True),
    "prores": _Codec("ProRes", "prores_ks", ("mov", "matroska"), False, False),
    # libvpx names more formats with transparency than it opens.
    "vp9": _Codec(
        "VP9", "libvpx-vp9", ("mp4", "matroska"), True, False, ("yuv420p", "yuva420p", "yuv422p", "yuv440p", "yuv444p")
    ),
    "ffv1": _Codec("FFV1", "ffv1", ("matroska",), False, True),
}
# H.264 of RGB values themselves; few players show it, editors and VideoReader do.
_H264_RGB = replace(_CODECS["h264"], encoder="libx264rgb")


@dataclass(frozen=True)
class PictureFormat:
    """What the pictures of a video are made of.

    Attributes:
        width, height: of the upright picture.
        pixel_format: FFmpeg's name, of the picture as stored.
        colour: as tagged.
        orientation: from stored to upright.
        transparent: some pixels let the ground shine through.
        interlaced: a picture is two fields, taken one after the other.
        hdr: metadata of the master.
    """

    width: int
    height: int
    pixel_format: str = "rgb24"
    colour: Colour = DEFAULT_COLOUR
    orientation: Orientation = UPRIGHT
    transparent: bool = False
    interlaced: bool = False
    hdr: Hdr | None = None

    @property
    def resolved_colour(self) -> Colour:
        """Colour with what the file leaves open filled in as players do, and the range that the format implies.

        Of RGB it is that of the luma and chroma that may be made of it: limited, the only range that all players know.
        """
        colour, layout = self.colour.resolved(self.width, self.height), layout_of(self.pixel_format)
        return replace(colour, range=LIMITED if layout.kind == "rgb" else FULL if layout.full_range else colour.range)


@dataclass(frozen=True)
class Encoding:
    """How pictures will be coded.

    Attributes:
        codec: name for users ("H.264").
        encoder: FFmpeg's name.
        raster: what the encoder is given.
        lossless: the file decodes to exactly the samples written.
        interlaced: the encoder codes fields.
        tag: four letters that name the codec in the container, where FFmpeg's own choice does not do.
        options: of the encoder.
        added: columns and rows that are repeated to fill up the last blocks of chroma.
    """

    codec: str
    encoder: str
    raster: Raster
    lossless: bool
    interlaced: bool
    tag: str | None
    options: Mapping[str, str] = field(repr=False)
    added: tuple[int, int] = (0, 0)

    @property
    def tagged_colour(self) -> Colour:
        """What the file says of its colours."""
        rgb = layout_of(self.raster.pixel_format).kind == "rgb"
        return replace(self.raster.colour, matrix=RGB, range=FULL) if rgb else self.raster.colour

    @property
    def description(self) -> str:
        """One sentence for the user."""
        parts = [f"written as {'lossless ' if self.lossless else ''}{self.codec} ({self.raster.pixel_format})"]
        for count, name in zip(self.added, ("column", "row")):
            if count:
                parts.append(f"the last {name} is repeated, because {self.codec} at 4:2:0 has no odd sizes")
        return "; ".join(parts) + "."


def encoding_for(
    path: str | Path,
    pictures: PictureFormat,
    *,
    codec: CodecChoice = "auto",
    quality: float | None = None,
    lossless: bool = False,
    preset: str = DEFAULT_PRESET,
) -> Encoding:
    """Decide how to code pictures for a file.

    Args:
        path: of the result; its ending names the container.
        pictures: of the source.
        codec: "auto" chooses as in the table above.
        quality: of lossy H.264, HEVC and VP9 on x264's scale, 0 to 51, lower is better.
        lossless: the source's own samples; nothing is converted or filled up. FFV1 always is.
        preset: speed of x264 and x265.

    Raises:
        InputError: the container cannot hold it, the codec cannot do it, or a value is out of range.
    """
    container = CONTAINERS[Path(path).suffix.lower()]
    layout = layout_of(pictures.pixel_format)
    lossless = lossless or codec == "ffv1"
    if lossless:
        chosen, pixel_format = _lossless(codec, layout, pictures)
    else:
        name = _for_players(path, container, layout, pictures) if codec == "auto" else codec
        chosen = _CODECS[name]
        pixel_format = _nearest(chosen, layout, pictures)
    if container not in chosen.containers:
        endings = " or ".join(ending for ending in (".mp4", ".mov", ".mkv") if CONTAINERS[ending] in chosen.containers)
        why = f", which {layout.name} needs to be lossless," if lossless and codec == "auto" else ""
        raise InputError(f"{path}: this kind of file cannot hold {chosen.title}{why}; name the output {endings}.")
    if quality is not None:
        if lossless or not chosen.has_quality:
            kind = "A lossless result" if lossless else chosen.title
            raise InputError(f"{kind} has no quality to choose; leave the quality out, or take the codec h264 or hevc.")
        if not 0 <= quality <= 51:
            raise InputError(f"The quality {quality:g} is not between 0 (best) and 51; take {DEFAULT_QUALITY}, say.")
    target = layout_of(pixel_format)
    grid = _chroma(layout, target, pictures, lossless)
    fields = pictures.interlaced and chosen.title in ("H.264", "ProRes") and pictures.height % (2 * target.down) == 0
    width, height = pictures.width, pictures.height
    if not lossless:
        width, height = (ceil(size / per) * per for size, per in ((width, target.across), (height, target.down)))
    colour = replace(pictures.resolved_colour, siting=grid.siting or CENTRE)
    raster = Raster(pixel_format, width, height, colour, grid)
    return Encoding(
        codec=chosen.title,
        encoder=chosen.encoder,
        raster=raster,
        lossless=lossless,
        interlaced=fields,
        tag="hvc1" if chosen.title == "HEVC" and container != "matroska" else None,
        options=_options(chosen, raster, pictures.hdr, quality, lossless, preset),
        added=(width - pictures.width, height - pictures.height),
    )


def _for_players(path: str | Path, container: str, layout: Layout, pictures: PictureFormat) -> str:
    if pictures.transparent:
        if container == "mp4":
            raise InputError(
                f"{path} cannot hold the transparency of the source; name the output .mov (ProRes 4444) or .mkv (VP9), "
                "or choose the codec h264 to leave it out."
            )
        return "prores" if container == "mov" else "vp9"
    return "h264" if layout.bits <= 8 or (pictures.interlaced and layout.bits <= 10) else "hevc"


def _lossless(codec: CodecChoice, layout: Layout, pictures: PictureFormat) -> tuple[_Codec, str]:
    """The codec and the pixel format that hold the very samples."""
    h264 = _H264_RGB if layout.kind == "rgb" else _CODECS["h264"]
    candidates = {"auto": [h264, _CODECS["ffv1"]], "h264": [h264]}.get(codec) or [_CODECS[codec]]
    if not candidates[0].has_lossless:
        raise InputError(f"{candidates[0].title} is never lossless; choose h264, hevc or ffv1, or leave the codec out.")
    across, down = _upright_sampling(layout, pictures)
    for chosen in candidates:
        fills = chosen.title == "FFV1" or not (pictures.width % across or pictures.height % down)
        wanted = (layout.kind, layout.bits, layout.alpha, across, down)
        formats = {name: (it.kind, it.bits, it.alpha, it.across, it.down) for name, it in _formats(chosen, layout)}
        same = sorted((name for name, it in formats.items() if it == wanted), key=lambda name: name != layout.name)
        if fills and same:
            return chosen, same[0]
    raise InputError(
        f"{candidates[-1].title} has no lossless {layout.name} of {pictures.width}x{pictures.height} pixels; "
        f"{'leave out lossless' if codec in ('auto', 'ffv1') else 'choose the codec ffv1 and name the output .mkv'}."
    )


def _nearest(chosen: _Codec, layout: Layout, pictures: PictureFormat) -> str:
    """The pixel format of a codec that loses least, and of these the smallest."""
    across, down = _upright_sampling(layout, pictures)
    if (layout.kind != "yuv" or layout.full_range) and (across, down) != (2, 2):
        fine = pictures.width % 2 or pictures.height % 2 or chosen.title == "ProRes"
        across = down = 1 if fine else 2
    # No codec here has more than 12 bits, and no player more than 10.
    bits = 8 if layout.bits == 8 else 12 if layout.bits in (11, 12) else 10

    def loss(candidate: tuple[str, Layout]) -> tuple:
        name, it = candidate
        coarser = bool(across % it.across or down % it.down)
        finer = across * down / (it.across * it.down)
        alpha = it.alpha - pictures.transparent
        return alpha < 0, max(0, bits - it.bits), coarser, max(0, it.bits - bits), alpha, finer, name != layout.name

    return min(((name, it) for name, it in _formats(chosen, layout) if it.kind == "yuv"), key=loss)[0]


def _formats(chosen: _Codec, layout: Layout) -> Iterable[tuple[str, Layout]]:
    try:
        known = [known.name for known in av.codec.Codec(chosen.encoder, "w").video_formats]
    except av.codec.codec.UnknownCodecError as error:
        raise InputError(
            f"This PyAV was built without {chosen.encoder}, which {chosen.title} needs; "
            "install PyAV from its wheels (pip install av), or choose another codec."
        ) from error
    for name in known:
        it = layout_of(name)
        jpeg = it and it.kind == "yuv" and it.full_range
        if it and (not chosen.formats or name in chosen.formats) and (not jpeg or name == layout.name):
            yield name, it


def _upright_sampling(layout: Layout, pictures: PictureFormat) -> tuple[int, int]:
    """Pixels per chroma sample, across and down."""
    return pictures.orientation.size(layout.across, layout.down)


def _chroma(layout: Layout, target: Layout, pictures: PictureFormat, lossless: bool) -> Grid:
    """Where chroma lies in what is written: where the source has it, unless that cannot be said or coded."""
    if target.kind == layout.kind == "yuv":
        stored = pictures.orientation.size(pictures.width, pictures.height)
        grid = layout.chroma(pictures.colour.siting).upright(pictures.orientation, *stored)
        if (grid.across, grid.down) == (target.across, target.down) and (lossless or grid.siting):
            return grid
    return target.chroma(LEFT)


def _options(
    chosen: _Codec, raster: Raster, hdr: Hdr | None, quality: float | None, lossless: bool, preset: str
) -> dict[str, str]:
    target, siting = layout_of(raster.pixel_format), raster.colour.siting
    crf = DEFAULT_QUALITY if quality is None else quality
    if chosen.title == "ProRes":
        fine = target.across == 1
        return {"profile": "4444" if fine else "hq", "vendor": "apl0"} | ({"alpha_bits": "16"} if target.alpha else {})
    if chosen.title == "VP9":
        return {"crf": f"{crf * 63 / 51:.0f}", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
    if chosen.title == "FFV1":
        # The last column of chroma is lost where a slice begins inside a block of four pixels.
        return {"level": "3", "slicecrc": "1"} | ({"slices": "1"} if target.across == 4 else {})
    library = "x264" if chosen.title == "H.264" else "x265"
    names = {"x264": ("mastering-display", "cll"), "x265": ("master-display", "max-cll")}[library]
    said = dict(zip(names, (hdr.mastering_display, hdr.content_light))) if hdr else {}
    # Left is what a stream means that does not say it.
    said["chromaloc"] = siting - 1 if target.down == 2 and siting != LEFT else None
    if library == "x265":
        # Of pictures less than four blocks wide x265's tree of blocks writes past its end, and the process crashes.
        said |= {
            "log-level": "none",
            "lossless": 1 if lossless else None,
            "no-cutree": 1 if raster.width < 64 else None,
        }
    own = ":".join(f"{name}={value}" for name, value in said.items() if value is not None)
    options = {"preset": preset} | ({f"{library}-params": own} if own else {})
    if not lossless:
        return options | {"crf": f"{crf:g}"}
    return options | ({"qp": "0"} if library == "x264" else {})
