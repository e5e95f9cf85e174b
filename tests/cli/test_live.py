from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import av
import numpy as np
import pytest

from lipforcing.cli import main
from lipforcing.cli.live import Controls
from lipforcing.tiny import family

CLIP = family.SAMPLES / "ada.mp4"
COMMAND = [sys.executable, "-m", "lipforcing.cli", "live", str(CLIP), "--face", "full"]
SOUND = (np.sin(np.arange(8000) / 20) * 9000).astype("<i2").tobytes()  # half a second


def live(monkeypatch, data: bytes, *options: str) -> int:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    return main(["live", str(CLIP), "--face", "full", "--no-pace", *options])


def decoded(stream) -> tuple[int, np.ndarray, int]:
    """Pictures, sound and its rate."""
    with av.open(stream) as container:
        pictures, pieces = 0, []
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                pictures += 1
            else:
                pieces.append(frame.to_ndarray()[0])
        return pictures, np.concatenate(pieces), container.streams.audio[0].rate


def test_says_what_comes_in_and_ends(monkeypatch, tmp_path, capsys):
    assert live(monkeypatch, SOUND, "-o", str(tmp_path / "out.ts")) == 0
    pictures, heard, rate = decoded(str(tmp_path / "out.ts"))
    assert pictures == 12 + 4  # half a second and what fades out
    level = np.abs(heard).reshape(-1)
    assert abs(np.flatnonzero(level > 0.1)[-1] / rate - 0.5) < 0.05 and 0.2 < level.max() < 0.4
    assert "16 frames (0.64 s), 15 of them spoken" in capsys.readouterr().err


def test_bare_samples_are_what_the_options_say(monkeypatch, tmp_path):
    assert live(monkeypatch, SOUND, "-o", str(tmp_path / "out.ts"), "--rate", "8000", "--channels", "2") == 0
    assert decoded(str(tmp_path / "out.ts"))[0] == 12 + 4


@pytest.mark.parametrize(
    "options, says",
    [
        (["-o", "no/such/folder/out.ts"], "cannot be written"),
        (["--rate", "0", "-o", "out.ts"], "--rate 0 makes no sound"),
        (["--control", "no-fifo", "-o", "out.ts"], "no named pipe"),
        (["--seed", "-1", "-o", "out.ts"], "--seed -1 is out of range"),
        (["--face", "500,10", "-o", "out.ts"], "is no face in the picture, which is 288x384"),
    ],
)
def test_what_cannot_be_is_one_sentence(monkeypatch, tmp_path, capsys, options, says):
    monkeypatch.chdir(tmp_path)
    assert live(monkeypatch, SOUND, *options) == 2
    assert says in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_clip_is_not_overwritten(monkeypatch, tmp_path, capsys):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(CLIP.read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(SOUND)))
    assert main(["live", str(clip), "-o", str(clip)]) == 2
    assert "is an input itself" in capsys.readouterr().err and clip.read_bytes() == CLIP.read_bytes()


def test_no_sound_is_one_sentence(monkeypatch, tmp_path, capsys):
    assert live(monkeypatch, b"", "-o", str(tmp_path / "out.ts")) == 2
    assert "No sound came in" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_controls_come_through_a_named_pipe(tmp_path, capsys):
    os.mkfifo(tmp_path / "control")
    controls = Controls(str(tmp_path / "control"))
    for lines in ('{"interrupt": true}\n', 'nonsense\n{"quit": 1}\n\n{"interrupt": false}\n{"interrupt": true}\n'):
        (tmp_path / "control").write_text(lines, encoding="utf-8")
    found = [controls._interruptions.get(timeout=10) for _ in range(2)]
    assert found == [True, True] and not controls.interrupted()
    for _ in range(3000):  # whoever comes as another one leaves is heard, too
        (tmp_path / "control").write_text('{"interrupt": true}\n', encoding="utf-8")
    assert all(controls._interruptions.get(timeout=10) for _ in range(3000))
    told = capsys.readouterr().err
    assert "'nonsense' is no command" in told and '{"quit": 1}' in told


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed in another way")
def test_a_pipe_is_fed_from_a_program_and_may_be_closed():
    """While it idles pictures come in time; who stops watching ends it without a complaint."""
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        seen = threading.Timer(60, process.kill)
        seen.start()
        first = process.stdout.read(5000)  # it idles, no sound has come
        process.stdin.write(SOUND)
        process.stdin.flush()
        more = process.stdout.read(20_000)
        process.stdout.close()
        process.stdin.write(SOUND)
        process.stdin.flush()
        told = process.stderr.read().decode()
        assert process.wait(60) == 0
        seen.cancel()
    assert first[:1] == b"\x47" and len(more) == 20_000
    assert "frames" in told and "Traceback" not in told and "Exception" not in told
