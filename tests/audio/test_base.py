"""What goes around an encoder: one push and finish, filling up rows, samples that are no numbers."""

from __future__ import annotations

import torch

from lipforcing.audio.base import AudioFeatures, Window, encode_audio, fit_rows, silence_broken


class Numbers:
    """An encoder whose row i is [i]; gives out all but the last row early."""

    feature_dim = 1

    def stream(self) -> Numbers:
        self.heard = self.given = 0
        return self

    def push(self, samples: torch.Tensor) -> torch.Tensor:
        self.heard += len(samples)
        return self._up_to(self.heard // 640 - 1)

    def finish(self, frames: int = 0) -> torch.Tensor:
        return self._up_to(max(-(-self.heard // 640), frames))

    def _up_to(self, count: int) -> torch.Tensor:
        first, self.given = self.given, max(count, self.given)
        return torch.arange(first, self.given)[:, None].float()


def test_a_recording_has_a_row_per_started_frame_or_as_many_as_are_shown():
    for samples, frames, rows in (
        (0, 0, 0),
        (0, 2, 2),
        (1, 0, 1),
        (640, 0, 1),
        (2000, 0, 4),
        (2000, 3, 4),
        (2000, 9, 9),
    ):
        assert encode_audio(Numbers(), torch.ones(samples), frames).flatten().tolist() == list(range(rows))
    features = AudioFeatures.encode(Numbers(), torch.ones(1000))
    assert features.seconds == 1000 / 16_000 and len(features.features) == 2


def test_rows_are_cut_or_the_last_one_is_repeated():
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert fit_rows(rows, 1).tolist() == [[1, 2]]
    assert fit_rows(rows, 4).tolist() == [[1, 2], [3, 4], [3, 4], [3, 4]]
    assert AudioFeatures(rows, 0.08).rows(3).tolist() == [[1, 2], [3, 4], [3, 4]]


def test_a_window_of_seconds_keeps_its_middle_half():
    assert Window.of_seconds(8) == Window(50, 100, 50)
    assert Window.of_seconds(0.01) == Window(1, 2, 1)


def test_samples_that_are_no_numbers_are_silence_and_counted():
    samples = torch.tensor([[0.5, float("nan"), -0.25], [float("inf"), 0.0, float("-inf")]])
    clean, broken = silence_broken(samples)
    assert broken == 3 and clean.tolist() == [[0.5, 0, -0.25], [0, 0, 0]]
    assert silence_broken(clean) == (clean, 0) and silence_broken(torch.zeros(2, 0))[1] == 0
