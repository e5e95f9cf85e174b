from __future__ import annotations

import av
import pytest
import torch

from lipforcing.cli import main
from lipforcing.errors import InputError
from lipforcing.media import VideoReader, probe, read_audio
from lipforcing.tiny import family

CLIP, SPEECH = family.SAMPLES / "ben.mp4", family.SAMPLES / "market.wav"


def sync(out, *options: str) -> int:
    return main(["sync", str(CLIP), str(SPEECH), "-o", str(out), "--face", "full", *options])


def test_a_window_of_picture_and_sound(tmp_path):
    out = tmp_path / "out.mkv"
    assert sync(out, "--start", "0.4", "--limit", "0.32", "--lossless") == 0
    frames, source = list(VideoReader(out)), list(VideoReader(CLIP))[10:18]
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(8)], abs=1e-3)
    for frame, original in zip(frames, source, strict=True):
        assert torch.equal(frame.image[:60], original.image[:60])
    heard, speech = read_audio(out), read_audio(SPEECH, start=0.4, duration=0.32)
    assert torch.equal(heard.waveform, speech.waveform)


def test_quality_and_codec(tmp_path):
    sizes = []
    for quality in ("4", "40"):
        out = tmp_path / f"{quality}.mp4"
        assert sync(out, "--limit", "0.2", "--video-codec", "hevc", "--quality", quality) == 0
        with av.open(str(out)) as container:
            assert container.streams.video[0].codec_context.name == "hevc"
        assert probe(out).frame_count == 5
        sizes.append(out.stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize(
    "options, said",
    [
        (("--start", "-1"), "--start -1"),
        (("--start", "nan"), "--start nan"),
        (("--start", "999"), "lasts"),
        (("--limit", "0"), "--limit 0"),
        (("--quality", "60"), "quality 60"),
        (("--quality", "20", "--lossless"), "lossless result has no quality"),
        (("--video-codec", "prores"), "cannot hold ProRes"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, capsys, options, said):
    assert sync(tmp_path / "out.mp4", *options) == 2
    printed = capsys.readouterr().err.strip()
    assert printed.startswith("lipforcing: ") and said in printed and len(printed.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_is_kept_of_a_run_that_fails_half_way_is_said(tmp_path, capsys, monkeypatch):
    out, whole = tmp_path / "out.mkv", VideoReader.frames

    def broken(self):
        for number, frame in enumerate(whole(self)):
            if number == 120:
                raise InputError("The disk is gone.")
            yield frame

    monkeypatch.setattr(VideoReader, "frames", broken)
    assert sync(out, "--keep-partial") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    monkeypatch.undo()
    frames = len(list(VideoReader(out)))
    assert 0 < frames < 120
    assert said == f"lipforcing: The disk is gone. What was finished is kept: {frames} frames in {out}."
    monkeypatch.setattr(VideoReader, "frames", broken)
    assert sync(tmp_path / "none.mkv") == 2
    assert capsys.readouterr().err.strip().endswith("The disk is gone.") and not (tmp_path / "none.mkv").exists()
