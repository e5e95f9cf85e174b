"""Captured forwards: what is captured is run again on the same tensors, so a stand-in for graphs shows the rest."""

from __future__ import annotations

import torch

from lipforcing.sampling.capture import CapturedStudent
from lipforcing.sampling.causal import CausalStream, NetworkStudent, sample_causal
from lipforcing.sampling.noise import NoiseKey
from tests.models.helpers import random_inputs, small_model, spans


class Recorder:
    """Captures by remembering the function; replays by running it into the same result."""

    def __init__(self) -> None:
        self.captured = 0
        self.replayed = 0

    def __call__(self, run):
        self.captured += 1
        out = run()

        def replay():
            self.replayed += 1
            again = run()
            if out is not None:
                out.copy_(again)

        return replay, out


@torch.no_grad()
def test_replayed_runs_equal_plain_ones():
    """Two runs of one prompt, then one of another: six graphs for each prompt."""
    model, recorder = small_model(), Recorder()
    captured = CapturedStudent(model, recorder)
    text = None
    for number, seed in enumerate((1, 2, 3)):
        inputs = random_inputs(model.config, 18, seed=seed)
        conditioning = model.prepare(inputs)
        text = conditioning.text if number in (0, 2) else text
        chunks = [type(chunk)(chunk.planes, chunk.audio, text) for chunk in spans(conditioning, 18)]
        runs = [
            list(sample_causal(CausalStream(student, inputs.ref_latent), chunks, NoiseKey(seed)))
            for student in (NetworkStudent(model), captured)
        ]
        for plain, ours in zip(*runs, strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-5, rtol=0)
        assert recorder.captured == (6, 6, 12)[number]
    assert recorder.replayed == 3 * (4 * 2 + 3)
