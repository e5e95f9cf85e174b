"""``lipforcing inspect``, ``convert`` and ``merge``."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from lipforcing.checkpoints import inspect
from lipforcing.cli import main
from lipforcing.media import VideoReader
from lipforcing.tiny import family
from tests.checkpoints import samples


def test_inspect_tells_what_the_tiny_student_is(capsys):
    assert main(["inspect", str(family.weights_path("student"))]) == 0
    printed = capsys.readouterr().out
    assert "a Lip Forcing student" in printed and "0.999, 0.769, 0" in printed
    assert main(["inspect", str(family.weights_path("student")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True


def test_converted_student_makes_the_same_video(tmp_path, capsys):
    converted = tmp_path / "student.safetensors"
    assert main(["convert", str(family.weights_path("student")), str(converted), "--dtype", "fp32"]) == 0
    clip, speech = str(family.SAMPLES / "ben.mp4"), str(family.SAMPLES / "market.wav")
    pictures = []
    for name, model in (("a", "tiny"), ("b", str(converted))):
        out = tmp_path / f"{name}.mkv"
        options = ["--face", "full", "--lossless", "--limit", "0.3", "--model", model]
        assert main(["sync", clip, speech, "-o", str(out), *options]) == 0
        with VideoReader(out) as reader:
            pictures.append(torch.stack([frame.image for frame in reader.frames()]))
    # weights mapped from a file lie elsewhere in memory, and some kernels then round differently in the last bit
    difference = (pictures[0].int() - pictures[1].int()).abs()
    assert difference.max() <= 2 and difference.float().mean() < 0.01


def test_merged_files_are_a_teacher_or_a_student(tmp_path, capsys):
    base, adapter, out = (tmp_path / f"{name}.safetensors" for name in ("base", "adapter", "out"))
    save_file(samples.wan_base(), base)
    save_file(samples.adapter(), adapter)
    for options, kind in (([], "teacher"), (["--student"], "student")):
        assert main(["merge", str(base), str(adapter), str(out), "--dtype", "fp32", *options]) == 0
        assert capsys.readouterr().out.strip() == str(out) and inspect(out).kind == kind


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect", "nowhere.pth"], "nowhere.pth does not exist"),
        (["convert", "nowhere.pth", "out.safetensors"], "nowhere.pth does not exist"),
        (["merge", "base.safetensors", "out.safetensors"], "at least one adapter"),
    ],
)
def test_bad_input_is_one_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert printed[-1].startswith("lipforcing: ") and said in printed[-1] and not list(tmp_path.iterdir())
