"""The analysis of several clips, in a few steps over estimates that are not decoded."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lipforcing.analysis import plot, run
from lipforcing.analysis.clips import Clip
from lipforcing.analysis.probes import GUIDED, PLAIN
from lipforcing.analysis.run import analyse, as_table, cost, estimates_per_clip, summary, table
from lipforcing.analysis.suggest import suggest
from tests.models.helpers import random_inputs, small_model

STEPS = (0, 30)


class Latents:
    """``Measures`` of a clip whose figures are of the latents themselves."""

    def __init__(self, clip, tools) -> None:
        self.truth = torch.randn(1, 16, 3, 4, 4, generator=torch.Generator().manual_seed(3))

    def inputs(self, config):
        return random_inputs(config, 3, height=4, width=4)

    def decode(self, latents):
        return latents

    def __call__(self, pictures) -> dict[str, float]:
        values = dict.fromkeys(run.FIGURES[:6], pictures.std().item())
        return {**values, "sync_c": pictures.mean().item()}

    def moved(self, first, second) -> dict[str, float]:
        return {"mouth": first.mean().item(), "rest": second.mean().item()}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    out = tmp_path_factory.mktemp("analysis")
    made, told = [], []

    def clips(stop: int | None = None):
        def make(number: int):
            if number == stop:
                raise KeyboardInterrupt
            made.append(number)
            return Clip(f"clip_{number}", None, None, None)

        return [lambda number=number: make(number) for number in range(3)]

    network = small_model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "Measures", Latents)
        patch.setattr(run, "instruments", lambda network: SimpleNamespace())
        with pytest.raises(KeyboardInterrupt):
            analyse(network, clips(stop=2), out, STEPS)
        found = analyse(network, clips(), out, STEPS, lambda *done: told.append(done))
        assert made == [0, 1, 2]  # what was finished is not done again
        assert told[0] == (2 * 20 + 1, 60) and told[-1] == (60, 60)
        estimate = cost(network, Clip("", None, None, None), 2, STEPS)
        assert estimate.calls == 2 * (152 + 14) and estimate.measurements == 2 * 20 and estimate.seconds > 0
    return found


def test_every_probe_of_every_clip(rows):
    assert len(rows) == 3 * estimates_per_clip(STEPS)
    steps, sync = table(rows, "two-step", "sync_c")
    assert steps == [0, 30] and len(sync) == 4 and all(values.shape == (3, 2) for values in sync.values())
    assert not any(np.isnan(values).any() for values in sync.values())
    assert {row["clip"] for row in rows} == {"clip_0", "clip_1", "clip_2"}
    first = [row["sync_c"] for row in rows if row["probe"] == "trajectory" and row["step"] == 30 and row["second"] == 1]
    assert len(set(first)) == 3  # every clip has noise of its own


def test_the_spatial_probe_compares_estimates_of_the_same_noise(rows):
    """With and without guidance, and its control, both against the unguided estimate of fresh noise."""
    for step in STEPS:
        fresh = table(rows, "fresh noise", "sync_c")[1]
        at = STEPS.index(step)
        for probe, guidance in (("spatial", GUIDED), ("control", PLAIN)):
            changed, plain = (table(rows, probe, name)[1][PLAIN, guidance][:, at] for name in ("mouth", "rest"))
            np.testing.assert_array_equal(plain, fresh[PLAIN, PLAIN][:, at])
            if probe == "spatial":
                np.testing.assert_array_equal(changed, fresh[GUIDED, GUIDED][:, at])
            else:
                assert (changed != plain).all()


def test_summary_has_bands_over_clips(rows):
    found = summary(rows)
    assert len(found) == estimates_per_clip(STEPS) and all(row["clips"] == 3 for row in found)
    (one,) = [row for row in found if row["probe"] == "trajectory" and row["step"] == 30 and row["second"] == GUIDED]
    values = table(rows, "trajectory", "sync_c")[1][GUIDED, GUIDED][:, 1]
    assert one["sync_c"] == pytest.approx(values.mean(), abs=1e-3) and one["t"] == pytest.approx(0.7689)
    assert one["sync_c_low"] <= one["sync_c"] <= one["sync_c_high"] and "mouth" not in one


def test_figures_and_suggestion(rows, tmp_path):
    pytest.importorskip("matplotlib")
    steps, sync = table(rows, "two-step", "sync_c")
    found = suggest(steps, sync, table(rows, "two-step", "mouth_error")[1])
    plot.plot(rows, found, tmp_path / "figure.png", "three clips")
    assert (tmp_path / "figure.png").stat().st_size > 20_000
    assert as_table(found)["landing_t"] in (0.999, 0.7689)
    run.write_summary(tmp_path / "summary.csv", rows)
    header, *lines = (tmp_path / "summary.csv").read_text().splitlines()
    assert header.startswith("probe,first,second,step,t,clips,mouth_error,") and len(lines) == 20
    assert plot.name((PLAIN, GUIDED)) == "s = 1, 4.5"
