"""What the meter of a node is told, by a clock that the test sets."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest

from .stand_in import LOADED_AS, load_pack

MEMORY, STUDENT = SimpleNamespace(peak=9.8), SimpleNamespace(sizes=(14e9, 28e9), device="cuda:0")


@pytest.fixture
def clock(monkeypatch):
    """`progress` with a clock at `clock.now`, and the numbers it sent in `clock.sent`."""
    load_pack()
    progress = importlib.import_module(f"{LOADED_AS}.nodes.progress")
    clock = SimpleNamespace(now=0.0, sent=[], progress=progress)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(progress.host, "progress_bar", lambda: lambda *_: None)
    monkeypatch.setattr(progress.host, "send_event", lambda _, numbers: clock.sent.append(numbers))
    monkeypatch.setattr(progress, "_small", lambda picture: picture)
    return clock


def run(clock, waits: list[float], rate: float = 25, total: int | None = None) -> list[dict]:
    """Numbers after every chunk of a run that waits so many seconds before each and writes its frames in no time."""
    chunks = [round((9 + 12 * n) * rate / 25) for n in range(len(waits))]
    total = total or chunks[-1]
    shown, done = clock.progress.FrameProgress("7", rate), 0
    after = []
    for end, wait in zip(chunks, waits):
        clock.now += wait
        while done < end:
            done += 1
            clock.now += 1e-4
            shown(done, total, None)
        after.append(shown.ui(MEMORY, STUDENT)["lipforcing_progress"][0][0])
    return after


@pytest.mark.parametrize("rate", [25, 29.97, 60])
def test_loading_is_no_rate(clock, rate):
    """A minute of loading, then a second for every chunk."""
    numbers = run(clock, [61.0, *[1.0] * 9], rate)
    assert numbers[0]["first_frame_seconds"] == pytest.approx(61, abs=0.1)
    assert all(numbers[0][key] is None for key in ("fps", "realtime", "remaining_seconds"))
    for chunk, said in enumerate(numbers[1:-1], 1):
        assert said["remaining_seconds"] == pytest.approx(9 - chunk, rel=0.12)
        assert said["fps"] == pytest.approx(12 * rate / 25, rel=0.12)
        assert said["realtime"] == pytest.approx(said["fps"] / rate)
    assert numbers[-1]["remaining_seconds"] == 0 and numbers[-1]["seconds"] == pytest.approx(70, abs=0.1)


def test_the_time_left_follows_a_change_of_pace_smoothly(clock):
    """One slow chunk (a compilation) does not double the time left; a run that stays slow is believed."""
    once = [said["remaining_seconds"] for said in run(clock, [1.0] * 5 + [3.0] + [1.0] * 4, total=1000)][1:]
    assert max(once) < 1.8 * once[0]
    stays = [said["remaining_seconds"] for said in run(clock, [1.0] * 5 + [3.0] * 20, total=1000)][1:]
    assert stays[-1] == pytest.approx(3 * (1000 - 9 - 12 * 24) / 12, rel=0.1)


def test_frames_of_a_chunk_do_not_move_the_estimate(clock):
    """Within a chunk frames come at once, which is no speed."""
    shown = clock.progress.FrameProgress("7", 25)
    for done in range(1, 10):
        clock.now += 0.001
        shown(done, 100, None)
    assert all(sent["fps"] is None for sent in clock.sent)


def test_time_and_memory_are_in_the_log_once_and_in_the_panel(clock, caplog):
    shown = clock.progress.FrameProgress("7", 25)
    for chunk in range(1, 5):
        clock.now += 1
        shown(9 + 12 * chunk, 57, None)
    with caplog.at_level("INFO"):
        said = shown.ui(MEMORY, STUDENT, "57 frames written.")["lipforcing_progress"][0][0]
    assert said["peak_gigabytes"] == 9.8 and said["note"] == "57 frames written."
    (line,) = caplog.messages
    assert "57 frames in 4.0 s, first 1.00 s, then 12.0 per second (0.48 x real time)" in line
    assert "peak memory 9.8 GB on cuda:0; student 14.0 of 28.0 GB resident, 14.0 GB offloaded" in line
