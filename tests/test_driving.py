"""What the pipeline gives the network to see: tests/data/goldens/README.md, 1.2, lists how expensive each mix-up is.

The network itself is held to the reference in tests/models; here it is what reaches it.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from lipforcing.audio.base import encode_audio, fit_rows
from lipforcing.faces.follow import FixedFollower
from lipforcing.faces.mask import latent_mask, pixel_mask
from lipforcing.media import Audio, VideoReader, VideoWriter
from lipforcing.models import Conditioning, Inputs
from lipforcing.pipeline import sync_crops, sync_file
from lipforcing.sampling.causal import Student
from lipforcing.stream.family import Family
from lipforcing.tiny import family

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
def models() -> Family:
    return family.tiny_family()


@pytest.fixture(scope="module")
def crops() -> torch.Tensor:
    """Clip [21, 3, S, S] that differs in every place and frame."""
    generator = torch.Generator().manual_seed(0)
    still = torch.rand(1, 3, 8, 8, generator=generator)  # and not so much that it looks like cuts
    coarse = 0.8 * still + 0.2 * torch.rand(sum(CHUNKS), 3, 8, 8, generator=generator)
    coarse = coarse * 2 - 1
    return torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear")


@pytest.fixture
def seen(models, crops) -> list[Conditioning]:
    """Conditions of every chunk."""
    recording = Recording(models.student)
    sync_crops(replace(models, student=recording), crops, SPEECH)
    assert len(recording.conditions) == len(CHUNKS)
    return recording.conditions


def inputs_of(conditions: Conditioning) -> Inputs:
    """The conditioning channels taken apart."""
    return Inputs.from_channels(conditions.planes, None, None)


def encoded(models, crops, mouth_value=None) -> torch.Tensor:
    """Latents [1, 16, 6, S / 8, S / 8] of the whole clip in one call, the mouth painted over if a value is given."""
    video = crops.transpose(0, 1)[None].clone()
    if mouth_value is not None:
        video[..., pixel_mask(SIZE, SIZE)] = mouth_value
    with torch.inference_mode():
        return models.codec.encode_stream()(video)


def test_mask_is_one_where_the_mouth_is_generated(seen):
    rows = SIZE // 8
    for conditions in seen:
        mask = inputs_of(conditions).mouth_mask[0, 0, 0]
        assert torch.equal(mask, latent_mask(rows, rows).float())
        assert mask[: rows // 4].sum() == 0  # forehead
        assert mask[rows // 2 : 3 * rows // 4, rows // 2].all()  # mouth


def test_reference_is_the_clip_and_masked_is_the_clip_with_a_grey_mouth(models, crops, seen):
    for name, mouth in (("ref_sequence", None), ("masked_video", 0.0)):
        found = torch.cat([getattr(inputs_of(conditions), name) for conditions in seen], dim=2)
        torch.testing.assert_close(found, encoded(models, crops, mouth), rtol=0, atol=1e-4)
    assert (encoded(models, crops) - encoded(models, crops, 0.0)).abs().mean() > 0.05


def test_reference_latent_is_the_first_of_the_clip(models, crops, seen):
    for conditions in seen:
        found = inputs_of(conditions).ref_latent
        torch.testing.assert_close(found, encoded(models, crops)[:, :, :1], rtol=0, atol=1e-4)


def test_every_chunk_gets_its_own_audio(models, seen):
    with torch.inference_mode():
        whole = models.student.embed_audio(encode_audio(models.audio, SPEECH)[None])
    torch.testing.assert_close(torch.cat([conditions.audio for conditions in seen], dim=1), whole, rtol=0, atol=1e-4)


def test_audio_row_belongs_to_the_frame_of_its_time(models, tmp_path):
    """A click in one frame's time is in that frame's row of the features that reach the network."""
    frame, frames = 14, 25
    waveform = torch.zeros(1, 16_000)
    waveform[0, 640 * frame : 640 * (frame + 1)] = 0.9 * torch.sin(torch.arange(640) / 3)
    with VideoWriter(tmp_path / "in.mkv", 32, 32, Fraction(25)) as writer:
        for n in range(frames):
            writer.write(torch.full((32, 32, 3), 9 * n, dtype=torch.uint8), n / 25)
    recording = Recording(models.student)
    with VideoReader(tmp_path / "in.mkv") as video:
        heard = replace(models, student=recording)
        sync_file(heard, video, Audio(waveform, 16_000), tmp_path / "out.mkv", FixedFollower())
    rows = torch.cat([window[:1, -1] for window in recording.features])  # of each the row it ends with
    quiet = fit_rows(encode_audio(models.audio, torch.zeros(16_000)), len(rows))
    changed = (rows - quiet).abs().sum(1)
    assert changed.argmax() == frame and not changed[: frame - 2].any() and not changed[frame + 3 :].any()
