"""The pack loads inside a real host without touching it, and every function of its boundary does what it says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from . import contract, contract_patchers
from .server import PACK_FOLDER, make_base, server_environment


@pytest.fixture(scope="session")
def report(host, host_python, tmp_path_factory) -> dict:
    base = tmp_path_factory.mktemp("contract") / "base"
    pack = make_base(base)
    script = Path(__file__).with_name("contract.py")
    command = [host_python, str(script), str(host), str(base), str(pack)]
    result = subprocess.run(command, capture_output=True, text=True, env=server_environment(), check=False)
    lines = [line for line in result.stdout.splitlines() if line.startswith("REPORT")]
    assert lines, result.stdout[-2000:] + result.stderr[-4000:]
    return json.loads(lines[0].removeprefix("REPORT"))


@pytest.mark.parametrize("name", [*contract.CHECKS, *contract_patchers.CHECKS])
def test_host_function(report, name):
    assert report["checks"][name] == "", report["checks"][name]


def test_pack_loads_quickly_and_quietly(report):
    load = report["load"]
    assert load["loaded"] and "LipForcingVideoToVideo" in load["nodes"]
    assert load["seconds"] < 0.3
    assert load["network"] == []
    assert not load["cuda"]


def test_loading_changes_nothing_of_the_host(report):
    assert report["load"]["changed"] == []


def test_loading_imports_only_the_pack(report):
    """Whatever else comes along would count against everybody's start-up time."""
    own = PACK_FOLDER.replace(".", "_x_")  # as the host names its modules
    foreign = [name for name in report["load"]["modules"] if own not in name]
    assert foreign == []
