"""``lipforcing score``: figures, verdicts, files, and one sentence for bad input."""

from __future__ import annotations

import json
import wave
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image

from lipforcing.cli import main
from lipforcing.media import VideoWriter
from lipforcing.tiny import family

CLIP, SPEECH = str(family.SAMPLES / "ben.mp4"), str(family.SAMPLES / "market.wav")


def grey_video(path: Path, frames: int = 12) -> str:
    with VideoWriter(path, 32, 48, Fraction(25)) as writer:
        for n in range(frames):
            writer.write(torch.full((48, 32, 3), 99, dtype=torch.uint8), n / 25)
    return str(path)


def silence(path: Path) -> str:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * 5))
    return str(path)


def test_own_sound_is_in_sync_and_other_sound_is_not(capsys):
    assert main(["score", CLIP, "--face", "full", "--json"]) == 0
    own = json.loads(capsys.readouterr().out)
    assert own["model"] == "tiny" and own["offset"] == 0 and own["verdict"] is None
    assert own["faces"][0]["seconds"] == pytest.approx(5.24) and len(own["faces"][0]["per_second"]) == 6
    assert main(["score", CLIP, "--audio", SPEECH, "--face", "full", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert own["confidence"] > 1.5 > other["confidence"] + 0.3 and own["distance"] < other["distance"] - 1
    assert other["verdict"] == "no clear sync" and other["offset"] is None
    assert main(["score", CLIP, "--audio", SPEECH, "--face", "full"]) == 0
    printed = capsys.readouterr().out
    assert "no clear sync" in printed and f"{other['confidence']:.2f}" in printed


def test_text_and_plot(tmp_path, capsys):
    assert main(["score", CLIP, "--face", "full", "--plot", str(tmp_path / "curve.png")]) == 0
    printed = capsys.readouterr()
    assert "Sync-C" in printed.out and "overlap only" in printed.out and "drawn faces" in printed.err
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (1000, 420)
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_verdicts_stand_instead_of_figures(tmp_path, capsys):
    assert main(["score", CLIP, "--audio", silence(tmp_path / "quiet.wav"), "--face", "full"]) == 0
    printed = capsys.readouterr().out
    assert "silent audio" in printed and "Sync-C" not in printed
    assert main(["score", grey_video(tmp_path / "short.mp4"), "--audio", SPEECH, "--face", "full"]) == 0
    assert "too few frames" in capsys.readouterr().out


def test_no_face_is_said(tmp_path, capsys):
    arguments = ["score", grey_video(tmp_path / "grey.mp4"), "--audio", SPEECH]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("no face")
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "no face"


def test_found_face_of_a_drawn_clip_scores_like_the_crop(capsys):
    assert main(["score", CLIP, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["offset"] == 0 and found["confidence"] > 1.5 and len(found["faces"]) == 1


BAD = {
    "missing video": (["nowhere.mp4"], "nowhere.mp4"),
    "missing audio": ([CLIP, "--audio", "nowhere.wav"], "nowhere.wav"),
    "missing model": ([CLIP, "--model", "nowhere.model"], "nowhere.model"),
    "another model": ([CLIP, "--model", str(family.weights_path("codec"))], "codec.safetensors"),
    "missing detector": ([CLIP, "--detector", "none.pth"], "none.pth"),
    "bad face": ([CLIP, "--face", "1,2,3"], "1,2,3"),
    "one of the faces": ([CLIP, "--face", "1,2"], "all are measured"),
    "plot of unknown kind": ([CLIP, "--face", "full", "--plot", "curve.xyz"], "curve.xyz"),
    "plot into a missing folder": ([CLIP, "--face", "full", "--plot", "nowhere/curve.png"], "nowhere"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, capsys):
    arguments, expected = BAD[case]
    assert main(["score", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("lipforcing: ") and expected in printed.err and not printed.out
    assert len(printed.err.strip().splitlines()) == 1


def test_video_without_sound(tmp_path, capsys):
    assert main(["score", grey_video(tmp_path / "mute.mp4"), "--face", "full"]) == 2
    assert "no audio stream" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["score", "evaluate"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "-h"])
    assert stop.value.code == 0 and "--face" in capsys.readouterr().out
