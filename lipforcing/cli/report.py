"""The report of a run of ``lipforcing sync``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from tqdm import tqdm

from ..timeline import FPS
from .common import face_choice
from .models import model_files

INPUTS = ("video", "audio", "mix")
SPEAKER = "speaker"


def add_report(command: argparse.ArgumentParser) -> None:
    """The options --report and --syncnet."""
    command.add_argument(
        "--report",
        action="store_true",
        help="write what was done, how good it is and what it was made with beside the result: OUT.report.html, .json",
    )
    command.add_argument(
        "--syncnet", metavar="FILE", help="SyncNet for the report (default: the tiny one, for the tiny model only)"
    )


class Reporter:
    """Collects the report of a run: callback of its progress, and a context around it.

    Args:
        arguments: of the command, with the options of ``add_report``, ``add_models`` and ``add_face``.
        sources: inputs, which a report never replaces.
        device: where the SyncNet works.

    Raises:
        InputError: the report cannot be written; the file is no SyncNet.
    """

    def __init__(self, arguments: argparse.Namespace, sources: Sequence, device: torch.device) -> None:
        from ..report import Snapshots, check_report

        check_report(arguments.out, sources)
        self._arguments = arguments
        self._device = device
        self._syncnet = _syncnet(arguments, device)
        self._snapshots = Snapshots()

    def __enter__(self) -> Reporter:
        from ..report import Hashes

        arguments = self._arguments
        inputs = {role: getattr(arguments, role) for role in INPUTS if getattr(arguments, role)}
        said = (text.rpartition("@")[0] for text in arguments.speaker)
        inputs.update((f"{SPEAKER} {number}", path) for number, path in enumerate(said, 1))
        self._hashes = {"inputs": Hashes(inputs), "weights": Hashes(model_files(arguments))}
        return self

    def __exit__(self, *_) -> None:
        for hashes in self._hashes.values():
            hashes.close()

    def __call__(self, done: int, total: int, picture) -> None:
        self._snapshots(done, total, picture)

    def write(self, family, options, encoding, result, video, said, follower) -> Path:
        """Measure the result and write the report; gives the page's path.

        Args:
            family, options, result: of the run, see ``pipeline.sync_file``.
            encoding: how the result is coded.
            video, said: the run's source, and what its speakers say.
            follower: a new one like that of the run.
        """
        from ..evaluation.quality import quality
        from ..report import RunReport, manifest
        from ..stream.meter import peak_memory

        memory = None
        with suppress(OSError):
            memory = peak_memory(self._device)
        about = manifest(family, options, **{kind: hashes.entries() for kind, hashes in self._hashes.items()})
        with tqdm(unit="frame", desc="measuring", total=round(result.length * FPS)) as bar:
            figures = quality(result.path, video, said[0], follower, result.plan, progress=lambda _: bar.update())
        score = self._score(result.path, said[0]) if self._syncnet is not None and len(said) == 1 else None
        report = RunReport(result, about, encoding.description, memory, figures, score, self._snapshots)
        return report.write()[1]

    def _score(self, path: Path, audio):
        from ..media import VideoReader
        from ..syncnet import score_video

        face = face_choice(self._arguments.face)
        known = face if face == "full" or (isinstance(face, tuple) and len(face) == 4) else "auto"
        with VideoReader(path) as video:
            return score_video(self._syncnet, video, audio.mono16k(), known)


def _syncnet(arguments: argparse.Namespace, device: torch.device):
    """The SyncNet that knows what the model makes; None where none is given for a released one."""
    from .score import load_syncnet

    tiny = not arguments.codec
    if arguments.syncnet is None and not tiny:
        return None
    return load_syncnet(arguments.syncnet or "tiny", device)
