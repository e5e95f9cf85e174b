"""The programs in docs/examples/ do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from lipforcing.tiny.family import SAMPLES

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_live_speech_breaks_off_and_goes_on(tmp_path):
    """A low tone of four seconds is broken off after less than three; a high one follows whole."""
    names = [str(tmp_path / name) for name in ("first.wav", "then.wav")]
    for name, seconds, hertz in zip(names, (4, 0.8), (200, 1200)):
        with wave.open(name, "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", None))
            tone = np.sin(2 * np.pi * hertz * np.arange(round(16_000 * seconds)) / 16_000)
            file.writeframes((tone * 9000).astype("<i2").tobytes())
    clip, options = str(SAMPLES / "ada.mp4"), ["--after", "0", "--face", "full", "--no-pace"]
    command = [sys.executable, str(ROOT / "docs" / "examples" / "live_speech.py"), clip, "--say", *names, *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, timeout=120, check=True, env=environment)
    assert b"interrupted at" in done.stderr and b"1 interruptions" in done.stderr, done.stderr.decode()
    (tmp_path / "talk.ts").write_bytes(done.stdout)
    with av.open(str(tmp_path / "talk.ts")) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    blocks = sound[: len(sound) // 4800 * 4800].reshape(-1, 4800)
    hertz = np.abs(np.fft.rfft(blocks)).argmax(1) * 10
    said = hertz[np.abs(blocks).max(1) > 0.1]
    low, high = (said == 200).sum() / 10, (said == 1200).sum() / 10
    assert 0.1 <= low < 3 and high == pytest.approx(0.8, abs=0.2)
    assert (np.diff(said) >= 0).all()
