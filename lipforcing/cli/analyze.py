"""``lipforcing analyze``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ..errors import InputError
from .common import add, add_device, device_choice

FEW, ALL = 8, 52  # drawn clips


def add_commands(commands) -> None:
    """Add the command to the collection."""
    analyze = add(
        commands, "analyze", command_analyze, "What guidance does along a teacher's trajectory (docs/training.md)."
    )
    analyze.add_argument(
        "--model",
        nargs="+",
        default=["tiny"],
        metavar="FILE",
        help="teachers of the tiny family's sizes (default: tiny)",
    )
    analyze.add_argument("--clips", type=Path, metavar="DIR", help="face crops with sound (default: drawn ones)")
    analyze.add_argument("--out", type=Path, default=Path("analysis"), help="tables and figures (default: analysis)")
    analyze.add_argument("--full", action="store_true", help=f"all 50 steps, and {ALL} drawn clips instead of {FEW}")
    add_device(analyze)


def command_analyze(arguments: argparse.Namespace) -> None:
    """Analyse teachers one after the other."""
    from ..analysis.clips import drawn_clip, filmed, filmed_clip
    from ..analysis.plot import require_matplotlib
    from ..analysis.run import EVERY, EVERY_FIFTH

    if arguments.clips:
        clips = [partial(filmed_clip, path) for path in filmed(arguments.clips)]
    else:
        clips = [partial(drawn_clip, number) for number in range(ALL if arguments.full else FEW)]
    require_matplotlib()
    steps = EVERY if arguments.full else EVERY_FIFTH
    device = device_choice(arguments.device)
    try:
        for model in arguments.model:
            analyze_one(load_teacher(model).to(device), model, clips, steps, arguments.out / Path(model).stem)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on after the last finished clip in {arguments.out}") from None


def analyze_one(network, model: str, clips: list, steps: tuple[int, ...], out: Path) -> None:
    """Say what it will take, analyse, write tables and figures, and say what is suggested."""
    from ..analysis.results import in_words, write_results
    from ..analysis.run import analyse, cost

    expected = cost(network, clips[0](), len(clips), steps)
    print(
        f"{model}: {len(clips)} clips, {expected.calls} calls and {expected.measurements} measurements, "
        f"about {expected.seconds / 60:.0f} minutes",
        file=sys.stderr,
    )
    out.mkdir(parents=True, exist_ok=True)
    with tqdm(desc=model, unit="estimate", mininterval=5) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        rows = analyse(network, clips, out, steps, progress)
    found = write_results(rows, out, f"{model}, {len(clips)} clips")
    print(f"{model}: {in_words(found)}")


def load_teacher(model: str):
    """A teacher that the tiny family's codec and instruments fit.

    Raises:
        InputError: it is none, or of other sizes.
    """
    from ..checkpoints import Kind, load_module
    from ..tiny import family

    if model == "tiny":
        return family.load("teacher")
    network, checkpoint = load_module(model, Kind.TEACHER)
    if network.config != family.load("teacher").config:
        raise InputError(f"{model} is {checkpoint.describe()}; give a teacher of the tiny family's sizes.")
    return network.float()
