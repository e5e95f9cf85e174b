"""espeak-ng in a process of its own: what is asked and answered through its pipe."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lipforcing.drawn import espeak_worker
from lipforcing.drawn.speech import available

pytestmark = pytest.mark.skipif(not available(), reason="espeak-ng is not installed")


def ask(*requests: dict) -> list[tuple[dict, bytes]]:
    """Answers of a fresh process."""
    lines = b"".join(json.dumps(request).encode() + b"\n" for request in requests)
    command = [sys.executable, "-I", "-S", espeak_worker.__file__]
    output, answers = subprocess.run(command, input=lines, stdout=subprocess.PIPE, check=True).stdout, []
    while output:
        line, _, output = output.partition(b"\n")
        answer = json.loads(line)
        answers.append((answer, output[: answer.get("bytes", 0)]))
        output = output[answer.get("bytes", 0) :]
    return answers


HELLO = {"text": "hello", "voice": "en-us", "rate": 160, "pitch": 50}


def test_samples_and_phonemes_come_in_order():
    ((answer, samples),) = ask(HELLO)
    assert len(samples) == answer["bytes"] > answer["rate"] * 2 * 0.2
    times = [at for _, at in answer["events"]]
    assert times == sorted(times) and times[-1] <= len(samples) // 2
    assert {"h", "l"} <= {symbol for symbol, _ in answer["events"]}


def test_a_fresh_process_says_the_same_and_an_error_ends_nothing():
    (first, _), (second, samples) = ask({**HELLO, "voice": "klingon-x"}, HELLO)
    assert "klingon-x" in first["error"] and len(samples) == second["bytes"]
    assert ask(HELLO) == ask(HELLO)
