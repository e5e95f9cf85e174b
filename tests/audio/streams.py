"""What every encoder's stream must do, and how to feed one in pieces."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from pathlib import Path

import torch

from lipforcing.audio.base import AudioEncoder, AudioStream

ROOT = Path(__file__).parents[2]


def in_pieces(stream: AudioStream, waveform: torch.Tensor, sizes: list[int], frames: int = 0) -> torch.Tensor:
    """All rows of a recording pushed in pieces of ``sizes``, over and over."""
    rows, start = [], 0
    for size in itertools.cycle(sizes):
        if start >= len(waveform):
            break
        rows.append(stream.push(waveform[start : start + size]))
        start += size
    return torch.cat([*rows, stream.finish(frames)])


def check_look_ahead(encoder: AudioEncoder, waveform: torch.Tensor, row: int) -> None:
    """``row``, one of those that wait longest, is given out with exactly the stated samples and knows no later ones."""
    needed = 640 * row + encoder.look_ahead
    stream = encoder.stream()
    before = stream.push(waveform[: needed - 1])
    assert len(before) == row, "given out too early for what is stated"
    now = torch.cat([before, stream.push(waveform[needed - 1 : needed])])
    assert len(now) > row
    other = waveform.clone()
    other[needed:] = 0.7 - other[needed:]
    assert torch.equal(in_pieces(encoder.stream(), other, [len(other)])[: row + 1], now[: row + 1])


def check_snapshot(encoder: AudioEncoder, waveform: torch.Tensor, at: int) -> None:
    """A copy goes on as if what the original heard meanwhile had never been said."""
    stream = encoder.stream()
    first = stream.push(waveform[:at])
    snapshot = copy.copy(stream)
    stream.push(torch.ones(3 * 16_000))
    stream.finish()
    rows = torch.cat([first, snapshot.push(waveform[at:]), snapshot.finish()])
    assert torch.equal(rows, in_pieces(encoder.stream(), waveform, [len(waveform)]))


def memory_of_an_hour(setup: str) -> tuple[int, float]:
    """Rows that a stream gives for an hour of noise, and by how many MB the process grows after the first five minutes.

    ``setup`` is code that makes ``encoder``; the hour is pushed a second at a time, its last minute at once.
    """
    code = f"""
import json, torch
torch.set_num_threads(1)
{setup}
from lipforcing.stream.meter import peak_memory
second, minute = 0.1 * torch.randn(16_000), 0.1 * torch.randn(60 * 16_000)
stream = encoder.stream()
rows = len(stream.push(minute)) + sum(len(stream.push(second)) for _ in range(4 * 60))
start = peak_memory()
rows += sum(len(stream.push(second)) for _ in range(54 * 60)) + len(stream.push(minute)) + len(stream.finish())
print(json.dumps([rows, (peak_memory() - start) / 1e6]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout))
