"""Training samples out of drawn videos."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lipforcing.distill import prepare
from lipforcing.distill.prepare import Segment, Settings, look, outcome, sharpness, sources, tools_of, verdict
from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.errors import InputError
from lipforcing.faces.align import box_matrix
from lipforcing.media import Audio, AudioSource, Frame, ImagePicture, VideoWriter
from lipforcing.syncnet import SyncReport, score
from lipforcing.timeline import SAMPLES_PER_FRAME
from lipforcing.tiny.measure import read_crops

SETTINGS = Settings(frames=37, face="full")
SPEECH = Path(__file__).parents[1] / "data" / "unseen_speech.safetensors"


def video(path: Path, early: int = 0, frames: int = 120, size: int = 128) -> Path:
    """A face crop of somebody who speaks; the sound is ``early`` frames ahead."""
    said = load_file(SPEECH)
    mouth = torch.cat(list(said["mouth"][:2]))[:frames]
    waveform = said["waveform"][:2].float().flatten()[: frames * SAMPLES_PER_FRAME] / 32767
    waveform = torch.nn.functional.pad(waveform[early * SAMPLES_PER_FRAME :], (0, early * SAMPLES_PER_FRAME))
    pictures = render(Identity.sample(55_000_900), mouth, sample_head(7, frames), (size, size))
    with VideoWriter(path, size, size, Fraction(25), audio=Audio(waveform[None], 16_000), lossless=True) as writer:
        for n, picture in enumerate(pictures):
            writer.write(picture, n / 25)
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, Path, list[dict]]:
    """A folder with a video whose sound is three frames ahead, one that cannot be read, and what came of them."""
    folder = tmp_path_factory.mktemp("videos")
    video(folder / "ada.mkv", early=3)
    (folder / "broken.mp4").write_text("no video")
    out = folder / "out"
    return folder, out, prepare.prepare(folder, out, SETTINGS)


def test_every_segment_is_in_the_report(done):
    _, out, rows = done
    assert [row["reason"] for row in rows[:3]] == ["", "", ""] and "broken.mp4" in rows[3]["reason"]
    assert [row["start"] for row in rows[:3]] == [0, 37, 74] and [row["offset"] for row in rows[:3]] == [3, 3, 3]
    assert json.loads((out / "report.json").read_text())["segments"] == rows
    names = [Path(line).name for line in (out / "train.txt").read_text().splitlines()]
    assert names == [row["sample"] for row in rows[:3]] == sorted(path.name for path in (out / "samples").iterdir())
    assert outcome(rows)["taken"] == 3 and len(outcome(rows)) == 2


def test_a_sample_is_in_the_references_layout(done):
    folder, out, rows = done
    sample = out / "samples" / rows[1]["sample"]
    latents = torch.load(sample / "vae_latents_mask_all.pt")
    assert latents["input_latents"].shape == (16, 10, 16, 16) and latents["input_latents"].dtype == torch.bfloat16
    assert not torch.equal(latents["input_latents"], latents["masked_latents"])
    features = torch.load(sample / "audio_emb_omniavatar.pt")
    assert features["audio_emb"].shape == (37, 384) and features["total_video_frames"] == 37
    assert torch.load(sample / "text_emb.pt").shape == (1, 1, 8) and (sample / "prompt.txt").read_text()
    pictures, whole = read_crops(str(sample / "sub_clip.mp4")).float(), read_crops(str(folder / "ada.mkv")).float()
    assert (pictures - whole[37:74]).abs().mean() < 4
    heard, spoken = AudioSource(sample / "audio.wav").mono16k(), load_file(SPEECH)["waveform"][:2].float().flatten()
    assert (heard - spoken[37 * 640 : 74 * 640] / 32767).abs().max() < 2e-3  # shifted back by three frames


def test_the_reference_never_overlaps_the_target(done):
    """The next segment of the same stay, and for the last one the one before."""
    _, out, rows = done
    seen = [torch.load(out / "samples" / row["sample"] / "ref_latents.pt") for row in rows[:3]]
    latents = [torch.load(out / "samples" / row["sample"] / "vae_latents_mask_all.pt") for row in rows[:3]]
    assert [one["ref_start"] for one in seen] == [37, 74, 37]
    for one, target in zip(seen, (1, 2, 1)):
        assert torch.equal(one["ref_sequence_latents"], latents[target]["input_latents"])


def test_a_second_run_does_nothing(done, monkeypatch):
    folder, out, rows = done
    monkeypatch.setattr(prepare, "prepare_source", None)
    told = []
    assert prepare.prepare(folder, out, SETTINGS, progress=lambda *n: told.append(n)) == rows
    assert told == [(1, 2), (2, 2)]


def test_a_killed_run_goes_on(done, tmp_path, monkeypatch):
    """What it had written of a video is not written again, and all is as if nothing had happened."""
    folder, _, rows = done
    written = []
    write = prepare.write_sample

    def stopping(path, **given):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, **given)

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "write_sample", stopping)
        with pytest.raises(KeyboardInterrupt):
            prepare.prepare(folder, tmp_path, SETTINGS)
    monkeypatch.setattr(
        prepare, "write_sample", lambda path, **given: written.append(path.name) or write(path, **given)
    )
    assert prepare.prepare(folder, tmp_path, SETTINGS) == rows
    assert len(written) == len(set(written)) == 3


@pytest.fixture(scope="module")
def first(done) -> tuple[dict, SyncReport]:
    """Figures of the first segment, and its report."""
    folder, _, rows = done
    crops, sound = read_crops(str(folder / "ada.mkv"), 37), AudioSource(folder / "ada.mkv").mono16k()
    return rows[0], score(tools_of(SETTINGS).syncnet, crops, sound[: 37 * SAMPLES_PER_FRAME])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"least_size": 2.0}, "small face"),
        ({"least_sharpness": 90.0}, "blurred"),
        ({"least_sync": 90.0}, "weak sync"),
        ({"most_offset": 2}, "sound too far off"),
    ],
)
def test_filters(first, change, reason):
    figures, report = first
    assert verdict(figures, report, replace(SETTINGS, **change), tools_of(SETTINGS)) == reason
    assert verdict(figures, report, SETTINGS, tools_of(SETTINGS)) == ""


def test_one_segment_has_no_reference(tmp_path):
    video(tmp_path / "short.mkv", frames=50)
    (row,) = prepare.prepare(tmp_path, tmp_path / "out", SETTINGS)
    assert row["reason"] == "no other segment for the reference"


def test_samples_of_the_references_layout_are_sources(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "sub_clip.mp4").touch()
    (tmp_path / "two.mov").touch()
    one, two = sources(tmp_path, "auto")
    assert (one.name, one.face, one.sound.name) == ("one", "full", "audio.wav")
    assert (two.name, two.face, two.sound) == ("two", "auto", two.video)
    with pytest.raises(InputError, match="no videos"):
        sources(tmp_path / "one" / "nothing", "auto")


def test_other_syncnets_get_the_square_around_the_face():
    tools = tools_of(SETTINGS)
    config = replace(tools.syncnet.config, aligned=False, image_size=28)
    picture = torch.zeros(200, 300, 3, dtype=torch.uint8)
    picture[60:140, 110:170] = 200
    segment = Segment(0, 0)
    other = replace(tools, syncnet=type("Other", (), {"config": config}))
    look(segment, Frame(ImagePicture(picture), 0.0, None, 0), box_matrix(110, 60, 170, 140), other)
    assert segment.heights[0] == pytest.approx(80, rel=0.02)
    bright = (segment.lips[0][..., 0] > 150).float()
    assert bright.sum(0).max() == pytest.approx(28 * 80 / (2.8 * 40), abs=2)  # 2.8 half sides wide


def test_sharpness_is_of_edges():
    crop = torch.zeros(3, 8, 8, dtype=torch.uint8)
    assert sharpness(crop) == 0
    crop[:, :, 4:] = 100
    assert sharpness(crop) == pytest.approx(200 / 6, rel=1e-3)
