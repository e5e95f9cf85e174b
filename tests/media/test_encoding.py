from __future__ import annotations

import pytest

from lipforcing.errors import InputError
from lipforcing.media.colour import Colour
from lipforcing.media.encoding import PictureFormat, encoding_for
from lipforcing.media.hdr import Hdr
from lipforcing.media.orientation import Orientation
from lipforcing.media.pixels import Grid

BT709 = Colour(1, 1, 1, 1)
QUARTER = Orientation(swap=True, flip_x=True)


def form(pixel_format="yuv420p", width=64, height=48, **options) -> PictureFormat:
    return PictureFormat(width, height, pixel_format, **{"colour": BT709, **options})


LOSSY = [
    # source, ending, FFmpeg's encoder, pixel format
    (form(), ".mp4", "libx264", "yuv420p"),
    (form("yuvj420p"), ".mp4", "libx264", "yuvj420p"),
    (form("nv12"), ".mov", "libx264", "nv12"),
    (form("yuv422p"), ".mkv", "libx264", "yuv422p"),
    (form("yuv444p", 63, 47), ".mp4", "libx264", "yuv444p"),
    (form("yuv411p"), ".mp4", "libx264", "yuv422p"),
    (form("yuv410p"), ".mp4", "libx264", "yuv420p"),
    (form("yuv422p", orientation=QUARTER), ".mp4", "libx264", "yuv444p"),
    # What players play in 4:2:0 only.
    (form("yuvj444p"), ".mp4", "libx264", "yuv420p"),
    (form("yuvj422p", 63, 47), ".mp4", "libx264", "yuv444p"),
    (form("rgb24"), ".mp4", "libx264", "yuv420p"),
    (form("rgb24", 63, 48), ".mp4", "libx264", "yuv444p"),
    (form("bgra"), ".mp4", "libx264", "yuv420p"),
    (form("gray"), ".mp4", "libx264", "yuv420p"),
    (form("rgb48le"), ".mp4", "libx265", "yuv420p10le"),
    # Depth.
    (form("yuv420p10le"), ".mp4", "libx265", "yuv420p10le"),
    (form("yuv420p9le"), ".mp4", "libx265", "yuv420p10le"),
    (form("p010le"), ".mkv", "libx265", "yuv420p10le"),
    (form("yuv422p10le"), ".mov", "libx265", "yuv422p10le"),
    (form("yuv444p12le"), ".mp4", "libx265", "yuv444p12le"),
    (form("yuva444p12le"), ".mp4", "libx265", "yuv444p12le"),
    (form("yuv420p16le"), ".mp4", "libx265", "yuv420p10le"),
    (form("gbrp12le"), ".mp4", "libx265", "yuv420p12le"),
    (form("yuv422p10le", interlaced=True), ".mov", "libx264", "yuv422p10le"),
    # Transparency.
    (form("yuva444p12le", transparent=True), ".mov", "prores_ks", "yuva444p10le"),
    (form("bgra", transparent=True), ".mov", "prores_ks", "yuva444p10le"),
    (form("bgra", transparent=True), ".mkv", "libvpx-vp9", "yuva420p"),
    (form("ya8", transparent=True), ".mkv", "libvpx-vp9", "yuva420p"),
]


@pytest.mark.parametrize("pictures, ending, encoder, pixel_format", LOSSY)
def test_lossy(pictures, ending, encoder, pixel_format):
    encoding = encoding_for(f"out{ending}", pictures)
    assert (encoding.encoder, encoding.raster.pixel_format) == (encoder, pixel_format)
    assert encoding.added == (0, 0) and not encoding.lossless
    assert encoding.tag == ("hvc1" if encoder == "libx265" and ending != ".mkv" else None)


LOSSLESS = [
    (form(), ".mp4", "libx264", "yuv420p"),
    (form("yuvj422p"), ".mp4", "libx264", "yuvj422p"),
    (form("yuv444p10le", 63, 47), ".mov", "libx264", "yuv444p10le"),
    (form("p010le"), ".mp4", "libx264", "yuv420p10le"),
    (form("gray10le"), ".mp4", "libx264", "gray10le"),
    (form("rgb24", 63, 47), ".mp4", "libx264rgb", "rgb24"),
    (form("gbrp"), ".mp4", "libx264rgb", "bgr0"),
    (form(width=63), ".mkv", "ffv1", "yuv420p"),
    (form("yuv420p12le"), ".mkv", "ffv1", "yuv420p12le"),
    (form("yuva444p12le"), ".mkv", "ffv1", "yuva444p12le"),
    (form("rgba"), ".mkv", "ffv1", "bgra"),
    (form("gbrp10le"), ".mkv", "ffv1", "gbrp10le"),
    (form("rgba64le"), ".mkv", "ffv1", "rgba64le"),
    (form("ya8"), ".mkv", "ffv1", "ya8"),
    (form("yuv411p"), ".mkv", "ffv1", "yuv411p"),
    (form("yuv422p", orientation=QUARTER), ".mkv", "ffv1", "yuv440p"),
]


@pytest.mark.parametrize("pictures, ending, encoder, pixel_format", LOSSLESS)
def test_lossless_keeps_the_sources_own_samples(pictures, ending, encoder, pixel_format):
    encoding = encoding_for(f"out{ending}", pictures, lossless=True)
    assert encoding.encoder == encoder and encoding.lossless and encoding.added == (0, 0)
    assert encoding.raster.pixel_format == pixel_format
    assert (encoding.raster.width, encoding.raster.height) == (pictures.width, pictures.height)
    assert "lossless" in encoding.description and encoding.codec in encoding.description


CHOSEN = [
    (form("yuv420p10le"), ".mp4", "h264", "libx264", "yuv420p10le"),
    (form("yuv420p12le"), ".mp4", "h264", "libx264", "yuv420p10le"),
    (form(), ".mp4", "hevc", "libx265", "yuv420p"),
    (form(), ".mov", "prores", "prores_ks", "yuv422p10le"),
    (form("rgb24"), ".mov", "prores", "prores_ks", "yuv444p10le"),
    (form("yuv420p10le"), ".mp4", "vp9", "libvpx-vp9", "yuv420p"),
    (form("yuv440p"), ".mkv", "vp9", "libvpx-vp9", "yuv440p"),
    (form("yuv420p12le"), ".mkv", "ffv1", "ffv1", "yuv420p12le"),
    (form("rgb24"), ".mkv", "ffv1", "ffv1", "bgr0"),
    (form("bgra", transparent=True), ".mp4", "h264", "libx264", "yuv420p"),
]


@pytest.mark.parametrize("pictures, ending, codec, encoder, pixel_format", CHOSEN)
def test_a_codec_can_be_chosen(pictures, ending, codec, encoder, pixel_format):
    encoding = encoding_for(f"out{ending}", pictures, codec=codec)
    assert (encoding.encoder, encoding.raster.pixel_format) == (encoder, pixel_format)


REFUSED = [
    (form("yuva444p12le"), ".mp4", {"lossless": True}, "FFV1, which yuva444p12le needs to be lossless", ".mkv"),
    (form(width=63), ".mov", {"lossless": True}, "FFV1", ".mkv"),
    (form("bgra", transparent=True), ".mp4", {}, "transparency", ".mov"),
    (form(), ".mp4", {"codec": "prores"}, "cannot hold ProRes", ".mov or .mkv"),
    (form(), ".mov", {"codec": "vp9"}, "cannot hold VP9", ".mp4 or .mkv"),
    (form(), ".mp4", {"codec": "ffv1"}, "cannot hold FFV1", ".mkv"),
    (form("yuv420p12le"), ".mp4", {"lossless": True, "codec": "h264"}, "H.264 has no lossless yuv420p12le", "ffv1"),
    (form("ya16le"), ".mkv", {"lossless": True}, "no lossless ya16le", "leave out lossless"),
    (form(), ".mov", {"lossless": True, "codec": "prores"}, "ProRes is never lossless", "ffv1"),
    (form(), ".mp4", {"lossless": True, "quality": 20}, "lossless result has no quality", "leave the quality out"),
    (form(), ".mov", {"codec": "prores", "quality": 20}, "ProRes has no quality", "leave the quality out"),
    (form(), ".mp4", {"quality": 52}, "quality 52", "0 (best) and 51"),
    (form(), ".mp4", {"quality": float("nan")}, "quality nan", "0 (best) and 51"),
]


@pytest.mark.parametrize("pictures, ending, options, said, remedy", REFUSED)
def test_what_cannot_be_is_one_sentence(pictures, ending, options, said, remedy):
    with pytest.raises(InputError) as caught:
        encoding_for(f"out{ending}", pictures, **options)
    message = str(caught.value)
    assert said in message and remedy in message
    assert message.endswith(".") and "\n" not in message


def test_quality_is_one_scale():
    assert encoding_for("a.mp4", form()).options["crf"] == "16"
    assert encoding_for("a.mp4", form(), quality=20.5).options["crf"] == "20.5"
    assert encoding_for("a.mp4", form("yuv420p10le"), quality=20).options["crf"] == "20"
    assert encoding_for("a.mp4", form(), codec="vp9", quality=51).options["crf"] == "63"


def test_chroma_stays_where_it_is_said():
    left = encoding_for("a.mp4", form())
    assert left.raster.chroma == Grid(2, 2, 0, 0.5) and "x264-params" not in left.options
    photo = encoding_for("a.mp4", form("yuvj420p", colour=Colour(5, 2, siting=2)))
    assert photo.raster.chroma == Grid(2, 2, 0.5, 0.5) and photo.options["x264-params"] == "chromaloc=1"
    turned = encoding_for("a.mp4", form("yuv420p10le", orientation=QUARTER))
    assert turned.raster.chroma == Grid(2, 2, 0.5, 0) and turned.tagged_colour.siting == 4
    assert "chromaloc=3" in turned.options["x265-params"]


def test_chroma_on_the_right_has_no_name():
    """Lossy it is moved to the left, lossless it stays and is said to lie in the middle, half a pixel off."""
    around = form(orientation=Orientation(flip_x=True, flip_y=True))
    assert encoding_for("a.mp4", around).raster.chroma == Grid(2, 2, 0, 0.5)
    exact = encoding_for("a.mp4", around, lossless=True)
    assert exact.raster.chroma == Grid(2, 2, 1, 0.5) and exact.tagged_colour.siting == 2


def test_metadata_of_the_master_goes_to_the_encoder():
    hdr = Hdr("G(1,2)B(3,4)R(5,6)WP(7,8)L(9,1)", "1000,400")
    ten = form("yuv420p10le", hdr=hdr)
    said = encoding_for("a.mp4", ten).options["x265-params"]
    assert f"master-display={hdr.mastering_display}" in said and "max-cll=1000,400" in said
    said = encoding_for("a.mp4", ten, lossless=True).options["x264-params"]
    assert f"mastering-display={hdr.mastering_display}" in said and "cll=1000,400" in said
    only_light = encoding_for("a.mp4", form("yuv420p10le", hdr=Hdr(None, "1000,400"))).options["x265-params"]
    assert "master-display" not in only_light and "max-cll=1000,400" in only_light


@pytest.mark.parametrize("height, fields", [(48, True), (46, False)])
def test_fields_need_whole_blocks_of_chroma(height, fields):
    """x264 refuses interlaced 4:2:0 whose height is no multiple of four, NTSC's 486 for example."""
    assert encoding_for("a.mp4", form(height=height, interlaced=True)).interlaced == fields
