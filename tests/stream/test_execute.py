"""Executors: in order, equal, bounded, and stopping when told or when something fails."""

from __future__ import annotations

import contextvars
import threading
import time
from types import SimpleNamespace

import pytest

from lipforcing.stream.chunk import Chunk
from lipforcing.stream.execute import PIXELS_UNDER_WAY, InOrder, Overlapped
from lipforcing.stream.meter import Meter

MARK = contextvars.ContextVar("mark", default="")


def chunks(count: int) -> list[Chunk]:
    return [Chunk(n, 9, [], [object()]) for n in range(count)]


def stages(log, seconds=0.0):
    def stage(name):
        def run(chunk):
            time.sleep(seconds)
            log.append((name, chunk.number, threading.current_thread().name))

        return run

    return {name: stage(name) for name in ("crop", "denoise", "paste")}


@pytest.mark.parametrize("make", [InOrder, Overlapped])
def test_chunks_come_back_in_order_and_every_stage_sees_them_in_order(make):
    log, meter, done = [], Meter(), []
    executor = make(stages(log, 0.002), meter)
    for chunk in chunks(20):
        done += executor.submit(chunk)
    done += executor.finish()
    assert [chunk.number for chunk in done] == list(range(20))
    for name in ("crop", "denoise", "paste"):
        assert [number for stage, number, _ in log if stage == name] == list(range(20))
    assert {name: len(times.seconds) for name, times in meter.times().items()} == dict.fromkeys(stages(log), 20)
    done = [*executor.submit(Chunk(20, 9, [], [object()])), *executor.finish()]  # goes on after a finish
    assert [chunk.number for chunk in done] == [20]
    executor.close()


def test_stages_overlap():
    """Three stages of equal length take a third of the time, and more than one thread."""
    log = []
    executor = Overlapped(stages(log, 0.03), Meter())
    began = time.monotonic()
    for chunk in chunks(12):
        executor.submit(chunk)
    executor.finish()
    assert time.monotonic() - began < 0.75 * 12 * 3 * 0.03
    assert len({thread for *_, thread in log}) == 3
    executor.close()


@pytest.mark.parametrize("waits_in", ["submit", "finish"])
def test_who_waits_can_be_told_to_stop(waits_in):
    """However long a stage takes."""
    gate = threading.Event()

    def check() -> None:
        raise KeyboardInterrupt

    executor = Overlapped({"crop": lambda chunk: gate.wait(10)}, Meter(), most=1, check=check)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for chunk in chunks(12 if waits_in == "submit" else 1):
            executor.submit(chunk)
        executor.finish()
    assert time.monotonic() - began < 5
    gate.set()
    executor.close()


@pytest.mark.parametrize(
    ("most", "pixels", "under_way"), [(4, 0, 4), (8, PIXELS_UNDER_WAY // 2, 2), (8, PIXELS_UNDER_WAY + 1, 1)]
)
def test_who_submits_waits_while_too_much_is_under_way(most, pixels, under_way):
    """Too many chunks, or too large ones; a chunk that is too large by itself is alone."""
    gate, log = threading.Event(), []
    slow = {"crop": lambda chunk: log.append(chunk.number), "denoise": lambda chunk: gate.wait(10)}
    executor = Overlapped(slow, Meter(), most=most)
    picture = SimpleNamespace(height=1, width=pixels)
    taken = []

    def submit():
        for chunk in chunks(12):
            chunk.outputs.append(SimpleNamespace(frame=SimpleNamespace(picture=picture)))
            executor.submit(chunk)
            taken.append(chunk.number)

    thread = threading.Thread(target=submit)
    thread.start()
    time.sleep(0.4)
    assert len(taken) == under_way
    gate.set()
    thread.join(10)
    assert len(taken) == 12 and len(executor.finish()) > 0
    executor.close()


@pytest.mark.parametrize("make", [InOrder, Overlapped])
def test_a_failure_reaches_the_caller(make):
    def fail(chunk):
        if chunk.number == 3:
            raise ValueError("broken")

    executor = make({"crop": lambda chunk: None, "denoise": fail, "paste": lambda chunk: None}, Meter())
    with pytest.raises(ValueError, match="broken"):
        for chunk in chunks(500):
            executor.submit(chunk)
        executor.finish()
    executor.close()
    assert threading.active_count() < 10


def test_closing_stops_at_once():
    before = threading.active_count()
    executor = Overlapped(stages([], 0.05), Meter())
    for chunk in chunks(5):
        executor.submit(chunk)
    executor.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("make", [InOrder, Overlapped])
def test_chunks_without_anybody_pass_the_models_by(make):
    log = []
    executor = make({**stages(log), "write": lambda chunk: log.append(("write", chunk.number, ""))}, Meter())
    executor.submit(Chunk(0, 0, []))
    executor.finish()
    assert [name for name, *_ in log] == ["paste", "write"]
    executor.close()


def test_threads_see_the_callers_context():
    seen = []
    MARK.set("mine")
    executor = Overlapped({"write": lambda chunk: seen.append(MARK.get())}, Meter())
    executor.submit(Chunk(0, 0, []))
    executor.finish()
    executor.close()
    assert seen == ["mine"]
