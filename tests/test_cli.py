"""The command line: bad input gets one sentence and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from lipforcing.cli import main
from lipforcing.media import Audio, AudioSource, VideoReader, VideoWriter, probe
from lipforcing.tiny import family

CLIP, SPEECH = str(family.SAMPLES / "ben.mp4"), str(family.SAMPLES / "market.wav")


def silent_video(path: Path) -> str:
    with VideoWriter(path, 32, 48, Fraction(25)) as writer:
        for n in range(12):
            writer.write(torch.full((48, 32, 3), 99, dtype=torch.uint8), n / 25)
    return str(path)


def empty_wav(path: Path) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    return str(path)


def clip_of_speech(path: Path, seconds: float) -> str:
    audio = AudioSource(SPEECH).read()
    waveform = audio.waveform[0, : round(audio.sample_rate * seconds)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.sample_rate)
        file.writeframes((waveform * 32767).to(torch.int16).numpy().tobytes())
    return str(path)


def text(path: Path) -> str:
    path.write_text("this is no media file\n" * 20)
    return str(path)


CASES = {
    "missing video": lambda t: (["nowhere.mp4", SPEECH], "nowhere.mp4"),
    "missing audio": lambda t: ([CLIP, "nowhere.wav"], "nowhere.wav"),
    "a folder": lambda t: ([str(t), SPEECH], str(t.name)),
    "not a video": lambda t: ([text(t / "notes.mp4"), SPEECH], "notes.mp4"),
    "no video stream": lambda t: ([SPEECH, SPEECH], "no video stream"),
    "no audio anywhere": lambda t: ([CLIP, silent_video(t / "mute.mp4")], "no audio stream"),
    "zero-length audio": lambda t: ([CLIP, empty_wav(t / "empty.wav")], "empty.wav"),
    "missing folder": lambda t: ([CLIP, SPEECH, "-o", str(t / "no" / "out.mp4")], "does not exist"),
    "unwritable folder": lambda t: ([CLIP, SPEECH, "-o", "/proc/out.mp4"], "/proc"),
    "unknown file type": lambda t: ([CLIP, SPEECH, "-o", str(t / "out.xyz")], ".xyz"),
    "overwriting the source": lambda t: ([CLIP, SPEECH, "-o", CLIP], "input itself"),
    "unknown device": lambda t: ([CLIP, SPEECH, "--device", "quantum"], "quantum"),
    "absent device": lambda t: ([CLIP, SPEECH, "--device", "cuda:99"], "cuda:99"),
    "bad face": lambda t: ([CLIP, SPEECH, "--face", "10,20,30"], "10,20,30"),
    "inverted box": lambda t: ([CLIP, SPEECH, "--face", "90,20,10,40"], "x0 < x1"),
    "missing detector": lambda t: ([CLIP, SPEECH, "--face", "auto", "--detector", "none.pth"], "none.pth"),
    "another model's detector": lambda t: (
        [CLIP, SPEECH, "--face", "auto", "--detector", str(family.weights_path("codec"))],
        "codec.safetensors",
    ),
    "missing model": lambda t: ([CLIP, SPEECH, "--model", "nowhere.safetensors"], "nowhere.safetensors"),
    "another model's weights": lambda t: (
        [CLIP, SPEECH, "--model", str(family.weights_path("syncnet"))],
        "syncnet.safetensors",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence(case, tmp_path, capsys):
    arguments, expected = CASES[case](tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    if "-o" not in arguments:
        arguments += ["-o", str(tmp_path / "out.mp4")]
    if "--face" not in arguments:
        arguments += ["--face", "full"]
    assert main(["sync", *arguments]) == 2
    printed = capsys.readouterr().err.strip()
    assert printed.startswith("lipforcing: ") and expected in printed
    assert len(printed.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_no_face_found(tmp_path, capsys):
    video = silent_video(tmp_path / "grey.mp4")
    out = tmp_path / "out.mp4"
    assert main(["sync", video, SPEECH, "-o", str(out), "--length", "video"]) == 2
    assert "No face was found in" in capsys.readouterr().err
    assert not out.exists() and sorted(path.name for path in tmp_path.iterdir()) == ["grey.mp4"]


def test_sync_writes_a_video_of_the_sources_kind(tmp_path, capsys):
    out = tmp_path / "out.mp4"
    with VideoReader(CLIP) as reader:
        source = [frame.image for frame in reader.frames()][:20]
    short = clip_of_speech(tmp_path / "short.wav", 0.5)
    assert main(["sync", CLIP, short, "-o", str(out), "--face", "full", "--seed", "3"]) == 0
    info = probe(out)
    assert (info.width, info.height, info.frame_rate) == (288, 384, Fraction(25))
    assert info.has_audio and info.frame_count == 13
    with VideoReader(out) as reader:
        frames = [frame.image for frame in reader.frames()]
    eyes = slice(60, 150)
    difference = max((a[eyes].float() - b[eyes].float()).abs().mean().item() for a, b in zip(frames, source))
    assert difference < 3  # both went through one H.264 encode
    assert isinstance(AudioSource(out).read(), Audio)


def test_help_of_every_command(capsys):
    for command in ([], ["demo"], ["inspect"], ["convert"], ["merge"], ["embed-text"], ["sync"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "-h"])
        assert stop.value.code == 0
    assert "pingpong" in capsys.readouterr().out


def test_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "lipforcing", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "demo" in done.stdout
