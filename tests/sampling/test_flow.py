"""Conversions against the reference (tests/data/goldens/README.md, 3.10)."""

from __future__ import annotations

from lipforcing.sampling import flow


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
