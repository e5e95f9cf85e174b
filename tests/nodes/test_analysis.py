"""The analysis as a node: what it hands out, its progress, and that it can be stopped."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest

from tests.analysis.test_results import rows

from .stand_in import LOADED_AS, load_pack

pytest.importorskip("matplotlib")


@pytest.fixture
def node(monkeypatch, tmp_path):
    """The module; its analyses find the published figures. What they were asked for is in `node.asked`."""
    load_pack()
    module, patchers, run = (
        importlib.import_module(f"{LOADED_AS}.{name}")
        for name in ("nodes.analysis", "nodes.host.patchers", "lipforcing.analysis.run")
    )
    monkeypatch.setattr(patchers, "tiny_teacher", lambda model: f"network of {model}")
    monkeypatch.setattr(patchers, "model_info", lambda _: SimpleNamespace(name="teacher.safetensors"))
    monkeypatch.setattr(module.host, "temp_path", lambda stem, suffix: str(tmp_path / (stem + suffix)))

    def analyse(network, clips, out, steps, progress):
        module.asked = (network, len(clips), len(steps))
        for done in range(1, 4):
            progress(done, 3)
        return rows(len(clips))

    monkeypatch.setattr(run, "analyse", analyse)
    module.bar = []
    monkeypatch.setattr(module.host, "progress_bar", lambda: lambda *report: module.bar.append(report))
    return module


@pytest.mark.parametrize(("landing_steps", "count"), [("every fifth", 11), ("all", 50)])
def test_plot_table_and_suggestion(node, landing_steps, count):
    plot, table, suggestion = node.LipForcingTrajectoryAnalysis.execute("model", 2, landing_steps).args
    assert node.asked == ("network of model", 2, count)
    assert plot.shape[0] == 1 and plot.shape[-1] == 3 and 0 <= plot.amin() < plot.amax() <= 1
    assert table.startswith("probe,first,second,step,t,clips,mouth_error") and ",2," in table.splitlines()[1]
    assert "land the second step at 30" in suggestion
    assert node.bar == [(1, 3, None), (2, 3, None), (3, 3, None)]


def test_every_measurement_is_a_cancel_point(node, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(node.host, "progress_bar", lambda: stop)
    with pytest.raises(KeyboardInterrupt):
        node.LipForcingTrajectoryAnalysis.execute("model", 1, "every fifth")
