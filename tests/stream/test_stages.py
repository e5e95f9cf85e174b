"""What the stages give the network to see: tests/data/goldens/README.md, 1.2, lists how expensive each mix-up is.

The network itself is held to the reference in tests/models; here it is what reaches it.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from lipforcing.audio.base import encode_audio, fit_rows
from lipforcing.audio.manner import Manner
from lipforcing.codecs.base import encode
from lipforcing.errors import InputError
from lipforcing.faces.align import CROP_SIZE
from lipforcing.faces.follow import FixedFollower
from lipforcing.faces.mask import latent_mask, pixel_mask
from lipforcing.media import Audio, ImagePicture, VideoReader, VideoWriter
from lipforcing.models import Conditioning, Inputs
from lipforcing.pipeline import sync_crops, sync_file
from lipforcing.sampling.causal import Student
from lipforcing.sampling.noise import NoiseKey
from lipforcing.stream import stages
from lipforcing.stream.chunk import Chunk
from lipforcing.stream.chunker import cut
from lipforcing.stream.family import Family
from lipforcing.stream.run import Run
from lipforcing.stream.stages import crop_places, driving_latents, masked_beside, paste_faces, pasted_weights
from lipforcing.stream.voice import Voice
from lipforcing.tiny import family

from .helpers import Scripted, frames_at, script, small_family

SIZE = family.CROP_SIZE
CHUNKS = (9, 12)
SPEECH = 0.1 * torch.randn(640 * sum(CHUNKS), generator=torch.Generator().manual_seed(1))


class Recording:
    """A student that keeps what it is asked and answers at once."""

    def __init__(self, student: Student) -> None:
        self.config, self.geometry = student.config, student.geometry
        self.embed_text, self.embed_times = student.embed_text, student.embed_times
        self.pack = student.embed_audio
        self.features: list[torch.Tensor] = []
        self.conditions: list[Conditioning] = []

    def embed_audio(self, features):
        self.features.append(features)
        return self.pack(features)

    def x0(self, x_t, sigma, time, conditioning, window):
        if not any(conditioning is known for known in self.conditions):
            self.conditions.append(conditioning)
        return x_t

    def cache_write(self, x0, time, conditioning, window):
        return window.past


@pytest.fixture(scope="module")
def tiny() -> Family:
    return family.tiny_family()


@pytest.fixture(scope="module")
def crops() -> torch.Tensor:
    """Clip [21, 3, S, S] of 8-bit levels that differs in every place and frame."""
    generator = torch.Generator().manual_seed(0)
    still = torch.rand(1, 3, 8, 8, generator=generator)  # and not so much that it looks like cuts
    coarse = 0.8 * still + 0.2 * torch.rand(sum(CHUNKS), 3, 8, 8, generator=generator)
    levels = torch.nn.functional.interpolate(255 * coarse, (SIZE, SIZE), mode="bilinear").round()
    return levels / 127.5 - 1


@pytest.fixture
def seen(tiny, crops) -> list[Conditioning]:
    """Conditions of every chunk."""
    recording = Recording(tiny.student)
    sync_crops(replace(tiny, student=recording), crops, SPEECH)
    assert len(recording.conditions) == len(CHUNKS)
    return recording.conditions


def inputs_of(conditions: Conditioning) -> Inputs:
    """The conditioning channels taken apart."""
    return Inputs.from_channels(conditions.planes, None, None)


def encoded(tiny, crops, mouth_value=None) -> torch.Tensor:
    """Latents [1, 16, 6, S / 8, S / 8] of the whole clip in one call, the mouth painted over if a value is given."""
    video = crops.transpose(0, 1)[None].clone()
    if mouth_value is not None:
        video[..., pixel_mask(SIZE, SIZE)] = mouth_value
    with torch.inference_mode():
        return tiny.codec.encode_stream()(video)


def test_mask_is_one_where_the_mouth_is_generated(seen):
    rows = SIZE // 8
    for conditions in seen:
        mask = inputs_of(conditions).mouth_mask[0, 0, 0]
        assert torch.equal(mask, latent_mask(rows, rows).float())
        assert mask[: rows // 4].sum() == 0  # forehead
        assert mask[rows // 2 : 3 * rows // 4, rows // 2].all()  # mouth


def test_reference_is_the_clip_and_masked_is_the_clip_with_a_grey_mouth(tiny, crops, seen):
    for name, mouth in (("ref_sequence", None), ("masked_video", 0.0)):
        found = torch.cat([getattr(inputs_of(conditions), name) for conditions in seen], dim=2)
        torch.testing.assert_close(found, encoded(tiny, crops, mouth), rtol=0, atol=1e-4)
    assert (encoded(tiny, crops) - encoded(tiny, crops, 0.0)).abs().mean() > 0.05


def test_reference_latent_is_the_first_of_the_clip(tiny, crops, seen):
    for conditions in seen:
        found = inputs_of(conditions).ref_latent
        torch.testing.assert_close(found, encoded(tiny, crops)[:, :, :1], rtol=0, atol=1e-4)


def test_every_chunk_gets_its_own_audio(tiny, seen):
    with torch.inference_mode():
        whole = tiny.student.embed_audio(encode_audio(tiny.audio, SPEECH)[None])
    torch.testing.assert_close(torch.cat([conditions.audio for conditions in seen], dim=1), whole, rtol=0, atol=1e-4)


def test_audio_row_belongs_to_the_frame_of_its_time(tiny, tmp_path):
    """A click in one frame's time is in that frame's row of the features that reach the network."""
    frame, frames = 14, 25
    waveform = torch.zeros(1, 16_000)
    waveform[0, 640 * frame : 640 * (frame + 1)] = 0.9 * torch.sin(torch.arange(640) / 3)
    with VideoWriter(tmp_path / "in.mkv", 32, 32, Fraction(25)) as writer:
        for n in range(frames):
            writer.write(torch.full((32, 32, 3), 9 * n, dtype=torch.uint8), n / 25)
    recording = Recording(tiny.student)
    with VideoReader(tmp_path / "in.mkv") as video:
        heard = replace(tiny, student=recording)
        sync_file(heard, video, Audio(waveform, 16_000), tmp_path / "out.mkv", FixedFollower())
    rows = torch.cat([window[:1, -1] for window in recording.features])  # of each the row it ends with
    quiet = fit_rows(encode_audio(tiny.audio, torch.zeros(16_000)), len(rows))
    changed = (rows - quiet).abs().sum(1)
    assert changed.argmax() == frame and not changed[: frame - 2].any() and not changed[frame + 3 :].any()


def sent(count: int = 9) -> Chunk:
    """The first chunk of a person in the middle of moving noise, cropped."""
    follower = Scripted(script(count, (0, 0, count)))
    voice = Voice(None, small_family().student, torch.zeros(1))
    runs = lambda *_: Run(NoiseKey(0), voice, None, None)  # noqa: E731
    (chunk,) = cut(frames_at([n / 25 for n in range(count)]), follower, runs)
    return chunk


def test_a_place_is_looked_at_once_however_often_it_is_repeated():
    lane = sent().lanes[0]
    repeated = [lane.places[0], *lane.places, lane.places[-1], lane.places[-1]]
    crops = crop_places(repeated, 32, "cpu")
    assert crops.shape == (12, 3, 32, 32)
    assert torch.equal(crops[0], crops[1]) and torch.equal(crops[-1], crops[-3]) and not torch.equal(crops[1], crops[2])
    looked_at = {(id(region), number) for region, number in (place.region for place in lane.places)}
    assert len(looked_at) == 9  # each in a picture of a region of its own


class Stopped(Exception):
    pass


class After:
    """A check that stops at its n-th call."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            raise Stopped


def test_who_is_told_to_stop_does_not_finish_the_chunk():
    """Nine pictures are worked on in groups of four: the second group is not begun."""
    chunk = sent()
    lane = chunk.lanes[0]
    for place in lane.places:
        place.region = None
    with pytest.raises(Stopped):
        crop_places(lane.places, 32, "cpu", After(2))
    assert [place.region is not None for place in lane.places] == [True] * 4 + [False] * 5
    lane.faces = torch.zeros(9, 3, 32, 32)
    with pytest.raises(Stopped):
        paste_faces(chunk, After(2))
    assert [output.picture for output in chunk.outputs] == [None] * 9


@pytest.mark.parametrize(("width", "together"), [(35, 4), (400, 4), (600, 2), (1000, 1)])
def test_of_large_faces_fewer_are_worked_on_together(width, together, monkeypatch):
    """The same number of pixels at a time, whatever the footage."""
    chunk = sent()
    places = chunk.lanes[0].places
    for place in places:
        place.matrix = torch.eye(2, 3) * CROP_SIZE[1] / width
    groups = []
    monkeypatch.setattr(stages, "_crop", lambda group, *_: groups.append(len(group)) or torch.zeros(len(group)))
    crop_places(places, 32, "cpu")
    assert groups[0] == together and sum(groups) == 9


def test_half_way_between_two_ticks_a_frame_gets_both_mouths():
    """And a frame in which nobody is seen is the source's own picture."""
    chunk = sent()
    lane = chunk.lanes[0]
    lane.faces = torch.linspace(-1, 1, 9).view(9, 1, 1, 1).expand(9, 3, 32, 32)
    middle = chunk.outputs[5]
    middle.low, middle.high, middle.share = 0, 8, 0.5
    chunk.outputs[2].places = {}
    lane.run.match = None  # colours as they are
    paste_faces(chunk)
    assert not chunk.outputs[2].pasted and chunk.outputs[2].picture is chunk.outputs[2].frame.picture
    mouth = middle.picture.region(33, 12, 4, 12)
    torch.testing.assert_close(mouth, torch.full_like(mouth, 0.5), atol=0.01, rtol=0)
    assert lane.run.last_face is not None


@pytest.mark.parametrize("pauses", ["model", "source"])
def test_the_mask_is_as_soft_as_the_blend(pauses):
    """White mouths on black pictures show the mask, also of a face that fades and where a pause begins."""
    chunk = sent()
    lane = chunk.lanes[0]
    lane.run.match = None
    lane.run.voice = Voice(None, None, None, manner=Manner(pauses))
    lane.run.voice.push_activity([True] * 2 + [False] * 20)
    lane.faces = torch.ones(9, 3, 32, 32)
    for output in chunk.outputs:
        height, width = output.frame.picture.height, output.frame.picture.width
        output.frame = replace(output.frame, picture=ImagePicture(torch.zeros(height, width, 3, dtype=torch.uint8)))
        for place in output.places.values():
            place.opacity, place.region = 0.5, None
    paste_faces(chunk)
    peaks = []
    for output in chunk.outputs:
        picture = output.picture.region(0, 0, height, width)
        torch.testing.assert_close(pasted_weights(output).expand(3, -1, -1), picture, atol=1 / 255, rtol=0)
        peaks.append(float(picture.max()))
    assert 0.45 < peaks[0] < 0.51 and (peaks[-1] < 0.4) == (pauses == "source")


@pytest.mark.parametrize("look_ahead", [0, 3])
def test_a_whole_clip_is_encoded_in_pieces_that_run_ahead(look_ahead):
    codec = small_family(look_ahead).codec
    crops = torch.randint(256, (33, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    pieces = list(driving_latents(codec, crops.split((9, 12, 12))))
    assert [sequence.shape[2] for sequence, _ in pieces] == [3, 3, 3]
    for at, video in enumerate(masked_beside(crops, torch.float32)):
        found = torch.cat([piece[at] for piece in pieces], dim=2)
        torch.testing.assert_close(found, encode(codec, video[None]), atol=1e-5, rtol=0)


def test_pixels_that_are_no_numbers_are_an_error():
    chunk = sent()
    chunk.lanes[0].faces = torch.full((9, 3, 32, 32), float("nan"))
    with pytest.raises(InputError, match="generated pixels that are not numbers"):
        paste_faces(chunk)
