"""Conversions and schedules against the reference (tests/data/goldens/README.md, 3.10)."""

from __future__ import annotations

import torch

from lipforcing.sampling import flow
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


def test_conversions(golden, parity):
    data = golden("schedule")
    t = data["convert/t"][:, None, None]
    x_t, v, x0, eps = (data[f"convert/{name}"] for name in ("x_t", "v", "x0", "eps"))
    cases = {
        "flow_to_x0": flow.velocity_to_x0(x_t, v, t),
        "x0_to_flow": flow.x0_to_velocity(x_t, x0, t),
        "x0_to_eps": flow.x0_to_eps(x_t, x0, t),
        "eps_to_x0": flow.eps_to_x0(x_t, eps, t),
        "flow_to_eps": flow.velocity_to_eps(x_t, v, t),
        "forward_process": flow.forward_process(x0, eps, t),
        "velocity": flow.velocity(x0, eps),
    }
    for name, value in cases.items():
        expected = data[f"convert/{name}"]
        if name == "flow_to_eps":  # the reference goes through x0 rounded to float32 and divides by t = 0
            value, expected = value[data["convert/t"] > 0], expected[data["convert/t"] > 0]
        # dividing by t = 0 (taken as 1e-6) makes numbers of a million, so errors are relative to the largest
        scale = expected.abs().flatten(1).amax(1).clamp(min=1)[:, None, None]
        parity("schedule", f"{name} (relative)", value / scale, expected / scale, 2e-6)
