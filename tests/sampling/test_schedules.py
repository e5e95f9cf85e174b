"""Schedules against the reference (tests/data/goldens/README.md, 3.10)."""

from __future__ import annotations

import torch

from lipforcing.sampling.schedules import TWO_STEP, shift_time, sync_window_scale, teacher_grid, unshift_time


def test_grid_and_shift(golden, parity):
    data = golden("schedule")
    grid = teacher_grid(data.config["steps"], data.config["shift"])
    parity("schedule", "grid float64", grid, data["grid/t_float64"], 1e-12)
    parity("schedule", "grid float32", grid.float(), data["grid/t_float32"], 1e-6)
    parity("schedule", "network timestep", 1000 * grid, data["grid/network_timestep_float64"], 1e-9)
    shifted = shift_time(data["shift/u"], data.config["shift"])
    parity("schedule", "shift", shifted, data["shift/t"], 1e-12)
    parity("schedule", "shift inverse", unshift_time(shifted, data.config["shift"]), data["shift/u"], 1e-12)


def test_published_constants():
    """Those that a golden set may choose otherwise (docs/model.md, Schedules)."""
    assert TWO_STEP == (0.999, 0.769, 0.0)
    assert torch.equal(teacher_grid(), teacher_grid(50, 5.0)) and teacher_grid()[0] == 0.999
    assert sync_window_scale(torch.tensor([0.555, 0.556, 0.882, 0.883])).tolist() == [1, 4.5, 4.5, 1]


def test_sync_window(golden):
    data = golden("schedule")
    assert torch.equal(sync_window_scale(data["gate/t"]), data["gate/s"])
    assert torch.equal(sync_window_scale(data["gate/t"], reverse=True), data["gate/s_reverse"])
    grid = teacher_grid(data.config["steps"], data.config["shift"])
    assert torch.equal(sync_window_scale(grid), data["gate/grid_s"])
