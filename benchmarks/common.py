"""What the measurements share: naming the machine, measuring memory in a process of its own, Markdown tables."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from lipforcing.evaluation import summarise

ROOT = Path(__file__).parents[1]


def hardware() -> str:
    """The machine and the versions, for example "AMD EPYC, 2 cores, 23 GB, Linux; Python 3.12, torch 2.11"."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    machine = [_processor(), f"{os.cpu_count()} cores", f"{memory:.0f} GB", *cards, platform.system()]
    return f"{', '.join(machine)}; Python {platform.python_version()}, torch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def measured(module: str, arguments: Sequence[str], threads: int) -> dict:
    """What ``python -m module ARGUMENTS`` prints as JSON in its last line; a process of its own has its own peak."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *arguments]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    return json.loads(run.stdout.splitlines()[-1])


def interval(values: Sequence[float]) -> str:
    """Mean and its 95 % interval, three digits each."""
    found = summarise(values)
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g})"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
