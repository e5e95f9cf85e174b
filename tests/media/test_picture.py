"""Every pixel format against pictures whose colours are linear functions of place, which no interpolation changes."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch

from lipforcing.media import convert
from lipforcing.media.colour import Colour
from lipforcing.media.encoding import PictureFormat, encoding_for
from lipforcing.media.picture import DecodedPicture, ImagePicture, Patch
from lipforcing.media.pixels import layout_of, samples

from .clips import as_frame, noise_frame, smooth
from .test_colour import LUMA
from .test_orientation import TURNS
from .test_pixels import GREY, RGB, SITES, YUV

FORMATS = [*YUV, *RGB, *GREY]
WIDTH, HEIGHT = 45, 27


def ramps(x, y):
    """R, G, B at a place, in 0.2 .. 0.8."""
    return [0.2 + 0.6 * x / WIDTH, 0.7 - 0.4 * y / HEIGHT, 0.25 + 0.25 * x / WIDTH + 0.25 * y / HEIGHT]


def codes(red, green, blue, colour: Colour, bits: int) -> list:
    """Code values of Y, U and V, computed here from the standard's definition."""
    of_red, of_green, of_blue = LUMA[colour.matrix]
    luma = of_red * red + of_green * green + of_blue * blue
    differences = [(part - luma) / (2 * (1 - share)) for part, share in ((blue, of_blue), (red, of_red))]
    unit = 2 ** (bits - 8)
    if colour.range == 1:
        return [(16 + 219 * luma) * unit, *((128 + 224 * part) * unit for part in differences)]
    return [luma * (2**bits - 1), *(part * (2**bits - 1) + 2 ** (bits - 1) for part in differences)]


def expected_samples(pixel_format: str, colour: Colour, number: int, light=ramps) -> np.ndarray:
    """Component ``number`` of the ramps as code values, not rounded."""
    layout = layout_of(pixel_format)
    chroma = layout.kind == "yuv" and number in (1, 2)
    across, down = (layout.across, layout.down) if chroma else (1, 1)
    along, below = SITES[colour.siting]
    x = np.arange(-(-WIDTH // across))[None] * across + along * (across - 1)
    y = np.arange(-(-HEIGHT // down))[:, None] * down + below * (down - 1)
    parts = [np.broadcast_to(part, (y.size, x.size)) for part in light(x, y)]
    if layout.kind == "rgb":
        return parts[number] * (2**layout.bits - 1)
    return codes(*parts, colour, layout.bits)[number]


def colours_in(pixel_format: str) -> int:
    """How many components are not alpha."""
    return {"yuv": 3, "rgb": 3, "grey": 1}[layout_of(pixel_format).kind]


def ramp_frame(pixel_format: str, colour: Colour) -> av.VideoFrame:
    frame, layout = noise_frame(pixel_format, WIDTH, HEIGHT), layout_of(pixel_format)
    for number in range(colours_in(pixel_format)):
        place = samples(frame, number)
        values = np.round(expected_samples(pixel_format, colour, number))
        place[:] = values.clip(0, 2**layout.bits - 1).astype(place.dtype) << layout.shift
    return frame


def colour_for(pixel_format: str, matrix: int = 1, level_range: int = 1, siting: int = 1) -> Colour:
    full = pixel_format.startswith("yuvj") or pixel_format in GREY
    return Colour(matrix, 2 if full else level_range, matrix, matrix, siting)


def light_of(pixel_format: str) -> torch.Tensor:
    """[3, H, W] of the ramps, grey where the format is."""
    parts = ramps(np.arange(WIDTH)[None], np.arange(HEIGHT)[:, None])
    light = torch.from_numpy(np.stack([np.broadcast_to(part, (HEIGHT, WIDTH)) for part in parts])).float()
    if layout_of(pixel_format).kind == "grey":
        weights = torch.tensor(LUMA[1]).view(3, 1, 1)
        light = (light * weights).sum(0).expand(3, -1, -1)
    return light


def all_samples(frame: av.VideoFrame) -> list[np.ndarray]:
    return [samples(frame, number).copy() for number in range(len(layout_of(frame.format.name).places))]


def inside(pixel_format: str) -> tuple[slice, slice]:
    """Away from the picture's right and lower border, beyond which chroma does not go on as a ramp."""
    layout = layout_of(pixel_format)
    return slice(layout.down, -layout.down), slice(layout.across, -layout.across)


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_region_means_what_the_samples_mean(pixel_format):
    picture = DecodedPicture(ramp_frame(pixel_format, colour_for(pixel_format)), colour_for(pixel_format))
    region = picture.region(0, 0, HEIGHT, WIDTH)
    assert region.dtype == torch.float32 and region.shape == (3, HEIGHT, WIDTH)
    rows, columns = inside(pixel_format)
    difference = (region - light_of(pixel_format))[:, rows, columns].abs()
    assert difference.max() < 2.3 / 2 ** layout_of(pixel_format).bits + 2e-6


@pytest.mark.parametrize("siting", SITES)
@pytest.mark.parametrize("matrix", [1, 5, 7, 9])
@pytest.mark.parametrize("level_range", [1, 2])
def test_region_knows_matrix_range_and_siting(siting, matrix, level_range):
    colour = colour_for("yuv420p16le", matrix, level_range, siting)
    region = DecodedPicture(ramp_frame("yuv420p16le", colour), colour).region(0, 0, HEIGHT, WIDTH)
    torch.testing.assert_close(region[:, 2:-2, 2:-2], light_of("yuv420p16le")[:, 2:-2, 2:-2], atol=6e-5, rtol=0)


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("siting", [1, 2, 6])
def test_a_part_is_part_of_the_whole(pixel_format, siting, monkeypatch):
    monkeypatch.setattr(convert, "_STRIP", 8)  # several to a picture
    picture = DecodedPicture(noise_frame(pixel_format, 37, 23), colour_for(pixel_format, siting=siting))
    whole = picture.region(0, 0, 23, 37)
    for top, left, height, width in ((3, 5, 11, 13), (0, 0, 1, 1), (22, 36, 1, 1), (10, 0, 13, 37), (7, 4, 2, 8)):
        part = picture.region(top, left, height, width)
        torch.testing.assert_close(part, whole[:, top : top + height, left : left + width], atol=1e-6, rtol=0)
    image = picture.rgb()
    assert image.dtype == torch.uint8 and image.shape == (23, 37, 3)
    assert (image.permute(2, 0, 1) - whole * 255).abs().max() <= 0.501


@pytest.mark.parametrize("turn", TURNS)
def test_turned_pictures_are_seen_upright(turn):
    frame, colour = noise_frame("yuv420p", 38, 24), Colour(1, 1)
    stored, picture = DecodedPicture(frame, colour), DecodedPicture(frame, colour, turn)
    whole = stored.region(0, 0, 24, 38).numpy()
    assert (picture.width, picture.height) == turn.size(38, 24)
    upright = torch.from_numpy(turn.upright(whole).copy())
    assert torch.equal(picture.region(0, 0, picture.height, picture.width), upright)
    assert torch.equal(picture.region(4, 3, 9, 14), upright[:, 4:13, 3:17])
    np.testing.assert_array_equal(
        picture.rgb().permute(2, 0, 1).numpy(), turn.upright(stored.rgb().permute(2, 0, 1).numpy())
    )


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_thumbnail_is_the_picture_made_small(pixel_format):
    colour = colour_for(pixel_format)
    picture = DecodedPicture(as_frame(smooth(96, 64), pixel_format, colour), colour)
    small = picture.thumbnail(16, 24)
    assert small.dtype == torch.uint8 and small.shape == (16, 24, 3)
    expected = picture.rgb().float().view(16, 4, 24, 4, 3).mean((1, 3))
    # The scaler knows chroma siting on some versions of PyAV only: a quarter of a sample, and it is a thumbnail.
    assert (small - expected).abs().mean() < 1.5


@pytest.mark.parametrize("turn", TURNS)
def test_turned_thumbnails_are_upright(turn):
    picture = DecodedPicture(as_frame(smooth(96, 64), "yuv420p", Colour(1, 1)), Colour(1, 1), turn)
    small = picture.thumbnail(picture.height // 4, picture.width // 4)
    whole = picture.rgb().float().view(picture.height // 4, 4, picture.width // 4, 4, 3).mean((1, 3))
    assert small.shape == whole.shape and (small - whole).abs().mean() < 1.5


def patch_of(picture, top, left, height, width, seed=0, opacity=None) -> Patch:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.rand(3, height, width, generator=random)
    return Patch(top, left, pixels, torch.ones(1, height, width) if opacity is None else opacity)


def soft(height: int, width: int) -> torch.Tensor:
    """Opacity that is 0 at the rim, at a border inside and in a corner, and 1 in the middle."""
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None]
    opacity = ((1 - y.square() - x.square()) * 3).clamp(0, 1)
    opacity[: height // 3, : width // 3] = 0
    return opacity[None]


@pytest.mark.parametrize("turn", [TURNS[0], TURNS[5], TURNS[6], TURNS[3]])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_outside_of_patches_every_sample_stays(pixel_format, turn):
    frame = noise_frame(pixel_format, WIDTH, HEIGHT)
    before = all_samples(frame)
    picture = DecodedPicture(frame, colour_for(pixel_format), turn)
    opacity = soft(11, 14)
    patches = [patch_of(picture, 5, 7, 11, 14, opacity=opacity), patch_of(picture, 0, 0, 3, 4)]
    result = picture.patched(patches)
    assert result.frame.format.name == pixel_format
    for was, is_now in zip(before, all_samples(frame)):
        np.testing.assert_array_equal(was, is_now, "the picture itself has changed")
    upright = np.zeros((picture.height, picture.width))
    upright[5:16, 7:21] = opacity[0]
    upright[:3, :4] = 1
    covered = turn.stored(upright) > 0
    layout = layout_of(pixel_format)
    for number, (was, is_now) in enumerate(zip(before, all_samples(result.frame))):
        if number == layout.alpha_number:
            allowed = np.zeros(was.shape, bool)
        elif layout.is_chroma(number):
            rows, columns = was.shape
            padded = np.pad(covered, ((0, rows * layout.down - HEIGHT), (0, columns * layout.across - WIDTH)))
            allowed = padded.reshape(rows, layout.down, columns, layout.across).any((1, 3))
        else:
            allowed = covered
        changed = was != is_now
        assert not changed[~allowed].any()
        if number != layout.alpha_number:
            assert changed[allowed].mean() > 0.8, "random pixels change nearly every sample"


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("siting", [1, 2, 3, 6])
def test_a_patch_lands_where_it_belongs(pixel_format, siting):
    """On noise: what the ramps are as samples, with no shift of chroma and no trace of what was below."""
    colour = colour_for(pixel_format, siting=siting)
    picture = DecodedPicture(noise_frame(pixel_format, WIDTH, HEIGHT), colour)
    light, layout = light_of(pixel_format), layout_of(pixel_format)
    top, left, height, width = 3, 5, 17, 30
    pixels = light[:, top : top + height, left : left + width]
    result = picture.patched([Patch(top, left, pixels, torch.ones(1, height, width))])
    for number in range(colours_in(pixel_format)):
        down, across = (layout.down, layout.across) if layout.is_chroma(number) else (1, 1)
        rows = slice(top // down + 2, (top + height) // down - 1)
        columns = slice(left // across + 2, (left + width) // across - 1)
        landed = samples(result.frame, number)[rows, columns].astype(int) >> layout.shift
        expected = expected_samples(pixel_format, colour, number)[rows, columns]
        assert landed.size and np.abs(landed - expected).max() < 0.52
    region = result.region(top + 6, left + 8, height - 12, width - 16)
    assert (region - pixels[:, 6:-6, 8:-8]).abs().max() < 2.3 / 2**layout.bits + 2e-6


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "nv12", "gbrp", "gray", "yuva444p12le"])
def test_a_patch_over_the_whole_picture_reaches_its_borders(pixel_format):
    colour, light = colour_for(pixel_format), light_of(pixel_format)
    flat = torch.tensor([0.3, 0.6, 0.5]).view(3, 1, 1).expand_as(light)
    picture = DecodedPicture(noise_frame(pixel_format, WIDTH, HEIGHT), colour)
    result = picture.patched([Patch(0, 0, flat, torch.ones(1, HEIGHT, WIDTH))])
    for number in range(colours_in(pixel_format)):
        place = samples(result.frame, number)
        assert (place == place[0, 0]).all()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "p010le", "yuv422p", "yuv444p", "rgb24", "gray"])
def test_half_opacity_is_the_mean(pixel_format):
    colour = colour_for(pixel_format)
    below, above = (torch.full((3, HEIGHT, WIDTH), value) for value in (0.2, 0.8))
    frame = noise_frame(pixel_format, WIDTH, HEIGHT)
    picture = DecodedPicture(frame, colour).patched([Patch(0, 0, below, torch.ones(1, HEIGHT, WIDTH))])
    half = picture.patched([Patch(2, 4, above[:, :20, :20], torch.full((1, 20, 20), 0.5))])
    region = half.region(6, 8, 12, 12)
    assert (region - 0.5).abs().max() < 2.5 / 2 ** layout_of(pixel_format).bits


def test_pixels_that_are_not_laid_on_do_not_colour_their_neighbours():
    colour = Colour(1, 1)
    picture = DecodedPicture(as_frame(np.full((16, 16, 3), 128, np.uint8), "yuv420p", colour), colour)
    pixels = torch.full((3, 8, 8), 0.5)
    opacity = torch.ones(1, 8, 8)
    pixels[:, :, 3:], opacity[:, :, 3:] = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1), 0  # red that is not laid on
    result = picture.patched([Patch(4, 4, pixels, opacity)])
    for was, is_now in zip(all_samples(picture.frame), all_samples(result.frame)):
        assert np.abs(was.astype(int) - is_now).max() <= 1


@pytest.mark.parametrize("siting", SITES)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_pattern_of_chroma_comes_back_in_place(siting, axis):
    """A wave of colour, read and laid on again ten times: weaker at most, never moved."""
    colour, size = Colour(1, 1, siting=siting), 256
    frame = as_frame(np.full((size, size, 3), 128, np.uint8), "yuv420p", colour)
    wave = np.round(128 + 50 * np.cos(2 * np.pi * np.arange(size // 2) / 8)).astype(np.uint8)
    samples(frame, 1)[:] = samples(frame, 2)[:] = wave[:, None] if axis == 0 else wave[None]
    picture = DecodedPicture(frame, colour)
    for _ in range(10):
        region = picture.region(2, 2, size - 4, size - 4)
        picture = picture.patched([Patch(2, 2, region, torch.ones(1, size - 4, size - 4))])
    middle = slice(32, 96)  # ten generations of the borders do not reach it
    for number in (1, 2):
        waves = [
            samples(p.frame, number).mean(1 - axis)[middle] - 128 for p in (DecodedPicture(frame, colour), picture)
        ]
        before, after = (np.fft.rfft(part)[8] for part in waves)
        assert abs(after) > 0.1 * abs(before)
        assert abs(np.angle(after / before)) * 8 / (2 * np.pi) < 0.005  # chroma samples


def test_a_region_costs_what_it_shows(monkeypatch):
    counted, read = [], convert.read
    monkeypatch.setattr(convert, "read", lambda place, layout: counted.append(place.size) or read(place, layout))
    picture = DecodedPicture(noise_frame("yuv420p", 1920, 1080), Colour(1, 1))
    picture.region(301, 401, 64, 64)
    assert sum(counted) < 1.6 * 64 * 64
    counted.clear()
    picture.patched([patch_of(picture, 301, 401, 64, 64)])
    assert sum(counted) < 1.7 * 64 * 64
    counted.clear()
    picture.thumbnail(108, 192)
    assert not counted


RASTERS = [
    ("yuv420p", "yuv420p", {}),
    ("nv12", "yuv420p", {"lossless": True, "codec": "ffv1"}),
    ("p010le", "yuv420p10le", {}),
    ("rgba", "bgra", {"lossless": True}),
    ("rgb24", "bgr0", {"lossless": True, "codec": "ffv1"}),
    ("gray", "yuv420p", {}),
]


@pytest.mark.parametrize("source, target, options", RASTERS)
@pytest.mark.parametrize("turn", TURNS)
def test_samples_are_moved_for_an_encoder_not_converted(source, target, options, turn):
    width, height = turn.size(38, 24)
    frame, form = noise_frame(source, 38, 24), PictureFormat(width, height, source, Colour(1, 1), turn)
    raster = encoding_for("a.mkv", form, **options).raster
    assert raster.pixel_format == target
    coded = DecodedPicture(frame, form.resolved_colour, turn).coded(raster)
    assert (coded.format.name, coded.width, coded.height) == (target, width, height)
    layout, stored_layout = layout_of(target), layout_of(source)
    for number in range(colours_in(source)):
        if raster.chroma.siting or not layout.is_chroma(number):
            moved = turn.upright(samples(frame, number)) >> stored_layout.shift
            if layout.is_chroma(number) and options.get("lossless") is None and turn.flip_x and not turn.swap:
                continue  # chroma on the right has no name; it is resampled
            np.testing.assert_array_equal(samples(coded, number) >> layout.shift, moved)
    if layout.alpha:
        np.testing.assert_array_equal(samples(coded, 3), turn.upright(samples(frame, 3)))
    if source == target and turn == TURNS[0]:
        assert coded is frame


def test_opacity_of_pixels_goes_along():
    grey = DecodedPicture(noise_frame("ya8", WIDTH + 1, HEIGHT + 1), Colour(1, 2))
    form = PictureFormat(WIDTH + 1, HEIGHT + 1, "ya8", Colour(1, 2), transparent=True)
    coded = grey.coded(encoding_for("a.mkv", form).raster)
    assert coded.format.name == "yuva420p"
    for number, own in ((0, 0), (3, 1)):
        np.testing.assert_array_equal(samples(coded, number), samples(grey.frame, own))
    assert (samples(coded, 1) == 128).all()
    # A file whose pictures lose their alpha half way.
    raster = encoding_for("a.mkv", PictureFormat(WIDTH, HEIGHT, "rgba"), lossless=True).raster
    for picture in (
        DecodedPicture(noise_frame("rgb24", WIDTH, HEIGHT), Colour(1, 1)),
        ImagePicture(torch.ones(HEIGHT, WIDTH, 3)),
    ):
        assert (samples(picture.coded(raster), 3) == 255).all()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gbrp12le", "yuv444p12le", "yuv411p", "nv16"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "prores"])
def test_other_depths_and_grids_keep_the_colours(pixel_format, codec):
    colour = colour_for(pixel_format)
    form = PictureFormat(WIDTH, HEIGHT, pixel_format, colour)
    encoding = encoding_for("a.mov", form, codec=codec)
    picture = DecodedPicture(ramp_frame(pixel_format, colour), colour)
    coded = DecodedPicture(picture.coded(encoding.raster), encoding.raster.colour)
    region = coded.region(0, 0, HEIGHT, WIDTH)[:, 4:-4, 4:-4]
    bits = min(layout_of(name).bits for name in (pixel_format, encoding.raster.pixel_format))
    assert (region - light_of(pixel_format)[:, 4:-4, 4:-4]).abs().max() < 3.5 / 2**bits


@pytest.mark.parametrize("width, height", [(37, 23), (38, 23), (37, 24)])
def test_a_size_is_filled_up_by_the_last_row_and_column(width, height):
    frame = noise_frame("yuv420p", width, height)
    form = PictureFormat(width, height, "yuv420p", Colour(1, 1))
    encoding = encoding_for("a.mp4", form)
    assert (encoding.raster.width, encoding.raster.height) == (38, 24)
    assert encoding.added == (38 - width, 24 - height) and "is repeated" in encoding.description
    coded = DecodedPicture(frame, Colour(1, 1)).coded(encoding.raster)
    luma = samples(coded, 0)
    np.testing.assert_array_equal(luma, np.pad(samples(frame, 0), ((0, 24 - height), (0, 38 - width)), mode="edge"))
    for number in (1, 2):
        np.testing.assert_array_equal(samples(coded, number), samples(frame, number))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
def test_image_picture(dtype):
    image = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    image = (image * 255).round().to(torch.uint8) if dtype == torch.uint8 else image.to(dtype)
    floats = image.float() / (255 if dtype == torch.uint8 else 1)
    picture = ImagePicture(image)
    assert (picture.height, picture.width) == (HEIGHT, WIDTH)
    assert torch.equal(picture.rgb(), (floats * 255).round().to(torch.uint8))
    torch.testing.assert_close(picture.region(3, 4, 5, 6), floats[3:8, 4:10].permute(2, 0, 1))
    assert picture.thumbnail(9, 15).shape == (9, 15, 3)
    opacity = soft(11, 14)
    kept = image.clone()
    patch = patch_of(picture, 5, 7, 11, 14, opacity=opacity)
    result = picture.patched([patch]).image
    assert result.dtype == dtype and torch.equal(image, kept)
    covered = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    covered[5:16, 7:21] = opacity[0] > 0
    assert torch.equal(result[~covered], image[~covered])
    under = floats[5:16, 7:21].permute(2, 0, 1)
    expected = (under + opacity * (patch.pixels - under)).permute(1, 2, 0)
    blended = result[5:16, 7:21].float() / (255 if dtype == torch.uint8 else 1)
    assert (blended - expected).abs().max() <= {torch.uint8: 0.501 / 255, torch.float32: 1e-6, torch.float16: 1e-3}[
        dtype
    ]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "rgb24", "gbrp12le", "yuvj420p"])
@pytest.mark.parametrize("siting", [1, 3, 6])
def test_images_become_the_samples_of_their_light(pixel_format, siting, monkeypatch):
    monkeypatch.setattr(convert, "_STRIP", 8)  # several to a picture
    colour = colour_for(pixel_format, siting=siting)
    form = PictureFormat(WIDTH, HEIGHT, pixel_format, colour)
    raster = encoding_for("a.mkv", form, lossless=True).raster
    coded = ImagePicture(light_of(pixel_format).permute(1, 2, 0)).coded(raster)
    layout = layout_of(raster.pixel_format)
    for number in range(3):
        rows, columns = inside(pixel_format) if layout.is_chroma(number) else (slice(None), slice(None))
        expected = expected_samples(raster.pixel_format, colour, number)[rows, columns]
        assert np.abs((samples(coded, number) >> layout.shift)[rows, columns] - expected).max() < 0.52
