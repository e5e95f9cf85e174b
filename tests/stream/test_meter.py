"""The meter: names, counts, threads; times of CUDA events with a stand-in for events."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from lipforcing.stream.meter import Meter, StageTimes, peak_memory


def test_stages_are_timed_by_name():
    meter = Meter()
    for _ in range(3):
        with meter.stage("slow"):
            time.sleep(0.02)
        with meter.stage("quick"):
            pass
    times = meter.times()
    assert list(times) == ["slow", "quick"] and len(times["slow"].seconds) == len(times["quick"].seconds) == 3
    assert times["slow"].median >= 0.02 > times["quick"].median >= 0
    assert times["slow"].total == pytest.approx(sum(times["slow"].seconds))
    meter.clear()
    assert meter.times() == {}


def test_spread_is_shortest_and_longest():
    times = StageTimes((0.3, 0.1, 0.2))
    assert times.spread == (0.1, 0.3) and times.median == 0.2


def test_a_stage_that_fails_is_not_counted():
    meter = Meter()
    with pytest.raises(ValueError), meter.stage("broken"):
        raise ValueError
    assert meter.times() == {}


def test_threads_do_not_lose_each_others_times():
    meter = Meter()

    def work(name):
        for _ in range(200):
            with meter.stage(name):
                pass

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: len(t.seconds) for name, t in meter.times().items()} == dict.fromkeys("0123", 200)


def test_cuda_stages_are_timed_by_events_that_are_read_late(monkeypatch):
    clock, waits = [0.0], []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.at = clock[0]

        def elapsed_time(self, end):
            return (end.at - self.at) * 1000

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.append(clock[0]))
    meter = Meter("cuda")
    with meter.stage("denoise"):
        clock[0] = 0.25
    assert not waits
    assert meter.times()["denoise"].seconds == (0.25,) and waits


def test_peak_memory_sees_what_was_allocated():
    before = peak_memory()
    held = torch.ones(60_000_000 // 4)
    assert peak_memory() - before > 0 or before > 10 * held.nbytes
    assert peak_memory() > held.nbytes
