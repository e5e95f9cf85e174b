"""The steady state of the causal student, captured once and replayed (CUDA graphs)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..models import Conditioning, Past, Rolling, StaticRolling, Text, TimeEmbedding, WanTransformer, static_pasts
from .causal import NetworkStudent

Capture = Callable[[Callable[[], Tensor | None]], tuple[Callable[[], None], Tensor | None]]
"""Runs a function and gives what runs it again on the same tensors, and the tensor that receives its result."""


def cuda_graph(run: Callable[[], Tensor | None]) -> tuple[Callable[[], None], Tensor | None]:
    """Capture ``run`` as a CUDA graph, after a warm-up on a stream of its own."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()
    return graph.replay, out


class CapturedStudent(NetworkStudent):
    """A network whose forwards are launched as one graph each, for one run at a time.

    From chunk 2 on all chunks have the same shapes; pasts take turns in two sets of buffers, so there are two graphs
    per noise level and two of the cache write. They belong to a prompt and are made anew for another one.

    Args:
        network: on the device that graphs are captured on.
        capture: see ``Capture``.
    """

    def __init__(self, network: WanTransformer, capture: Capture = cuda_graph) -> None:
        super().__init__(network)
        self._capture = capture
        self._text: Text | None = None
        self._pasts: tuple[Past, Past] | None = None
        self._graphs: dict = {}

    def x0(self, x_t: Tensor, sigma: float, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Tensor:
        turn = self._turn(window.past)
        if turn is None:
            return super().x0(x_t, sigma, time, conditioning, window)

        def run(x: Tensor, c: Conditioning) -> Tensor:
            return NetworkStudent.x0(self, x, sigma, time, c, window)

        return self._replay((turn, sigma), x_t, conditioning, run).clone()

    def cache_write(self, x0: Tensor, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Past:
        if self._pasts is None:
            self._pasts = static_pasts(self.config, window.geometry, x0.shape[0], x0)
        turn = self._turn(window.past)
        if turn is None and not window.past.frames:
            return super().cache_write(x0, time, conditioning, window)
        into = self._pasts[0 if turn is None else 1 - turn]
        window = StaticRolling(window.geometry, window.past, window.frames, into)
        if turn is None:
            return super().cache_write(x0, time, conditioning, window)

        def run(x: Tensor, c: Conditioning) -> None:
            NetworkStudent.cache_write(self, x, time, c, window)

        self._replay((turn, "write"), x0, conditioning, run)
        return into

    def _turn(self, past: Past) -> int | None:
        """Which of the buffers a past lies in; None before the steady state."""
        return next((i for i, buffers in enumerate(self._pasts or ()) if past is buffers), None)

    def _replay(self, key: tuple, x: Tensor, conditioning: Conditioning, run: Callable) -> Tensor | None:
        if conditioning.text is not self._text:
            self._text = conditioning.text
            self._graphs.clear()
        if key not in self._graphs:
            held = replace(conditioning, planes=conditioning.planes.clone(), audio=conditioning.audio.clone())
            x_held = x.clone()
            self._graphs[key] = x_held, held, *self._capture(lambda: run(x_held, held))
        x_held, held, replay, out = self._graphs[key]
        x_held.copy_(x)
        held.planes.copy_(conditioning.planes)
        held.audio.copy_(conditioning.audio)
        replay()
        return out
