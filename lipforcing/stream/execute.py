"""Running the stages over chunks: one after the other, or overlapped on threads. Equal results by construction.

An executor takes chunks with ``submit`` and gives them back finished, in order. A stage sees the chunks in order, one
at a time, whoever runs it.
"""

from __future__ import annotations

import contextvars
import math
import queue
import threading
from collections import deque
from collections.abc import Mapping
from typing import Protocol

import torch
from torch.utils._pytree import tree_leaves

from .chunk import Chunk
from .meter import Meter
from .stages import Check, Stage, go_on


class Executor(Protocol):
    """Runs the stages."""

    def submit(self, chunk: Chunk) -> list[Chunk]:
        """Take a chunk; waits while too many are under way. Gives the chunks that are finished by now, in order.

        Raises:
            BaseException: whatever a stage raised.
        """
        ...

    def ready(self) -> list[Chunk]:
        """Chunks that are finished by now; raises as ``submit`` does."""
        ...

    def finish(self) -> list[Chunk]:
        """Wait for all chunks under way; gives them. More may be submitted afterwards."""
        ...

    def close(self) -> None:
        """Stop; what is under way is lost."""
        ...


class InOrder:
    """Every stage of a chunk, then the next chunk, in the caller's thread."""

    def __init__(self, stages: Mapping[str, Stage], meter: Meter) -> None:
        self._stages = stages
        self._meter = meter

    def submit(self, chunk: Chunk) -> list[Chunk]:
        for name, stage in self._stages.items():
            if chunk.lanes or name in ALWAYS:
                with self._meter.stage(name):
                    stage(chunk)
        return [chunk]

    def ready(self) -> list[Chunk]:
        return []

    def finish(self) -> list[Chunk]:
        return []

    def close(self) -> None:
        """Nothing is under way."""


PIXELS_UNDER_WAY = 200_000_000  # of pictures, at a time: two chunks of 4K, eight of 1080p
ALWAYS = ("paste", "write")  # stages that also see chunks in which nobody is
SMALL = ("crop", "paste", "write")  # stages of many small steps, which a team of threads makes no faster


class Overlapped:
    """A thread per stage, and on a CUDA device a stream per stage; bounded queues in between.

    While one chunk is denoised the next one is encoded and the one before it decoded, pasted and written. Threads see
    the context variables of the caller. Only the networks have a team of threads on the CPU; the caller, who reads and
    follows, and ``SMALL`` stages have one each until ``close``.

    Args:
        stages: by name, in their order.
        meter: times them.
        device: whose streams to use, if it has any; None leaves all stages on the current one.
        most: chunks under way at a time; by default one for every stage and one that waits. All that is held grows
            with it: pictures, crops, faces. Of large pictures there are fewer, see ``PIXELS_UNDER_WAY``.
        check: called again and again while the caller waits for a stage; what it raises comes out of the wait.
    """

    def __init__(
        self,
        stages: Mapping[str, Stage],
        meter: Meter,
        device: torch.device | None = None,
        most: int = 0,
        check: Check = go_on,
    ) -> None:
        self._meter = meter
        self._check = check
        self._device = device
        self._most = most or len(stages) + 1
        self._closing = threading.Event()
        self._failure: BaseException | None = None
        self._under_way: deque[int] = deque()  # pixels of every chunk
        self._queues = [queue.SimpleQueue() for _ in range(len(stages) + 1)]
        self._threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(self._run, number, name, stage), daemon=True)
            for number, (name, stage) in enumerate(stages.items())
        ]
        self._team = torch.get_num_threads()
        self._small, self._large = (threading.Barrier(len(stages) + 1) for _ in range(2))
        torch.set_num_threads(1)
        for thread in self._threads:
            thread.start()
        self._small.wait()
        self._large.wait()

    def submit(self, chunk: Chunk) -> list[Chunk]:
        done = self._finished(self._most - 1, PIXELS_UNDER_WAY - chunk.pixels)
        self._queues[0].put((chunk, None))
        self._under_way.append(chunk.pixels)
        return done

    def ready(self) -> list[Chunk]:
        return self._finished(len(self._under_way))

    def finish(self) -> list[Chunk]:
        return self._finished(0)

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()
        torch.set_num_threads(self._team)

    def _finished(self, most: int, pixels: float = math.inf) -> list[Chunk]:
        """Chunks that are finished by now, waiting until no more than ``most``, or ``pixels`` of them, are."""
        done = []
        while self._under_way:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                self.close()
                raise failure
            wait = len(self._under_way) > most or sum(self._under_way) > pixels
            try:
                chunk, event = self._queues[-1].get(wait, timeout=0.05)
            except queue.Empty:
                if wait:
                    self._check()
                    continue
                break
            if event is not None:
                event.synchronize()
            self._under_way.popleft()
            done.append(chunk)
        return done

    def _run(self, number: int, name: str, stage: Stage) -> None:
        # Each thread has a number of its own, but what matrix products and later threads are given is the last that any
        # thread asked for.
        if name in SMALL:
            torch.set_num_threads(1)
        self._small.wait()
        if name not in SMALL:
            torch.set_num_threads(self._team)
        self._large.wait()
        cuda = self._device is not None and self._device.type == "cuda"
        stream = torch.cuda.Stream(self._device) if cuda else None
        try:
            with torch.cuda.stream(stream):  # does nothing for None
                while (item := self._get(number)) is not None:
                    chunk, event = item
                    if stream is not None and event is not None:
                        stream.wait_event(event)
                        _use_on(stream, chunk)
                    if chunk.lanes or name in ALWAYS:
                        with self._meter.stage(name):
                            stage(chunk)
                    self._queues[number + 1].put((chunk, stream.record_event() if stream is not None else None))
        except BaseException as failure:
            self._failure = self._failure or failure
            self._closing.set()

    def _get(self, number: int):
        while not self._closing.is_set():
            try:
                return self._queues[number].get(timeout=0.05)
            except queue.Empty:
                continue
        return None


def _use_on(stream: torch.cuda.Stream, chunk: Chunk) -> None:
    """Keep the memory of a chunk's tensors from being given to others while ``stream`` still works on them."""
    for lane in chunk.lanes:
        conditioning = lane.conditioning
        held = [lane.crops, lane.latents, lane.faces, lane.run.pending]
        held += [conditioning.planes, conditioning.audio] if conditioning is not None else []
        held += [place.region[0].pixels for place in lane.places if place.region is not None]
        for tensor in tree_leaves(held):
            if isinstance(tensor, torch.Tensor):
                tensor.record_stream(stream)
