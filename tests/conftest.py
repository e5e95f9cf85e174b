"""Shared fixtures: golden tensors of the reference implementation and the real-recording assets."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; what they start inherits the second line
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared"


@dataclass(frozen=True)
class Golden:
    """One golden set: ``tensors`` by full name and the ``meta`` dict of its ``golden`` metadata entry."""

    tensors: dict[str, torch.Tensor]
    meta: dict

    @property
    def config(self) -> dict:
        return self.meta["config"]

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors below ``prefix/``, keyed by the rest of their name."""
        head = prefix.rstrip("/") + "/"
        return {name[len(head) :]: value for name, value in self.tensors.items() if name.startswith(head)}


def goldens_folder() -> Path | None:
    """The folder named by LIPFORCING_GOLDENS, else the copies the tests carry, else the shared ones."""
    named = os.environ.get("LIPFORCING_GOLDENS")
    if named and not Path(named).is_dir():
        pytest.exit(f"LIPFORCING_GOLDENS={named}: there is no such folder", returncode=4)  # skipping would look green
    candidates = [Path(named)] if named else [HERE / "data" / "goldens", SHARED / "goldens"]
    return next((folder for folder in candidates if folder.is_dir()), None)


@pytest.fixture(scope="session")
def golden():
    """``golden(name)`` loads ``<name>.safetensors`` of the golden folder; skips where that set is not there."""

    def load(name: str) -> Golden:
        folder = goldens_folder()
        path = folder / f"{name}.safetensors" if folder else None
        if path is None or not path.is_file():
            pytest.skip(f"golden set {name} not found (LIPFORCING_GOLDENS)")
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["golden"])
            return Golden({key: file.get_tensor(key) for key in file.keys()}, meta)  # noqa: SIM118

    return load


_errors: dict[str, tuple[float, float]] = {}


@pytest.fixture(scope="session")
def parity():
    """``parity(set_name, quantity, actual, expected, limit)`` asserts max |difference| <= limit and records it."""

    def check(set_name: str, quantity: str, actual: torch.Tensor, expected: torch.Tensor, limit: float) -> None:
        assert actual.shape == expected.shape, f"{set_name} {quantity}: {actual.shape} != {expected.shape}"
        error = (actual.double() - expected.double()).abs().max().item()
        key = f"{set_name}: {quantity}"
        _errors[key] = max(_errors.get(key, (0.0, limit)), (error, limit))
        assert error <= limit, f"{key}: max abs error {error:.2e} > {limit:.0e}"

    return check


def pytest_terminal_summary(terminalreporter):
    """Print the measured maximum error per golden quantity."""
    if _errors:
        terminalreporter.section("parity with the reference (max abs error, limit)")
        for key, (error, limit) in sorted(_errors.items()):
            terminalreporter.write_line(f"{key:60s} {error:9.2e}  {limit:.0e}")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run tests marked slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real clips and detector weights; skips where it is missing (they are never committed)."""
    folder = SHARED / "assets"
    if not folder.is_dir():
        pytest.skip("real-recording assets not present")
    return folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """Folder of recordings of real people (LIPFORCING_CLIPS, else the shared one); skips where there is none."""
    named = os.environ.get("LIPFORCING_CLIPS")
    folder = Path(named) if named else SHARED / "assets" / "clips"
    if not folder.is_dir():
        pytest.skip(f"recordings of real people not found at {folder} (LIPFORCING_CLIPS)")
    return folder
