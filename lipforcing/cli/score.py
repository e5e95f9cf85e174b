"""``lipforcing score``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import InputError
from ..faces.selection import FaceChoice
from ..output import check_new_file, new_file
from ..timeline import FPS
from .common import add, add_device, add_face, check_face, device_choice, face_choice

NO_FACE = (
    "no face larger than {pixels:g} pixels was found; say where it is (--face x0,y0,x1,y1), or that the footage is a "
    "face crop (--face full)"
)

DRAWN_FACES_ONLY = (
    "note: the tiny SyncNet was trained on drawn faces; its figures have a scale of their own and say nothing about "
    "camera recordings. Give syncnet_v2.model for those (see the README)."
)


def add_commands(commands) -> None:
    """Add the command to the collection."""
    score = add(commands, "score", command_score, "Measure how well lips and speech go together (Sync-C, Sync-D).")
    score.add_argument("video", help="video file with talking faces")
    score.add_argument("--audio", metavar="FILE", help="speech: an audio or video file (default: the video's own)")
    score.add_argument(
        "--model",
        default="tiny",
        metavar="FILE",
        help="syncnet_v2.model, or tiny, which knows drawn faces only (default: tiny)",
    )
    score.add_argument("--json", action="store_true", help="machine-readable, with curves")
    score.add_argument("--plot", type=Path, metavar="FILE", help="draw the main face's curves into a .png")
    add_face(score)
    add_device(score)


def command_score(arguments: argparse.Namespace) -> None:
    """Score the faces of a video."""
    from ..faces.yunet import YuNetDetector
    from ..media import AudioSource, VideoReader
    from ..syncnet import score_video

    device, face = device_choice(arguments.device), any_face(arguments.face)
    plot = arguments.plot and checked_plot(arguments.plot, [arguments.video, arguments.audio or arguments.video])
    model = load_syncnet(arguments.model, device)
    with VideoReader(arguments.video) as video:
        check_face(face, video.info.width, video.info.height)
        waveform = AudioSource(arguments.audio or arguments.video).mono16k()
        detector = YuNetDetector(arguments.detector, device=device) if arguments.detector else None
        result = score_video(model, video, waveform, face, detector)
    print(json.dumps({"model": arguments.model, **result.to_dict()}) if arguments.json else describe(result))
    if plot:
        write_plot(plot, result.report, Path(arguments.video).name)
    if arguments.model == "tiny":
        print(DRAWN_FACES_ONLY, file=sys.stderr)


def load_syncnet(model: str, device: torch.device):
    """SyncNet in evaluation mode: the embedded one, or one from a file."""
    from ..checkpoints import Kind, load_module
    from ..tiny import family

    if model == "tiny":
        return family.load("syncnet", device)
    return load_module(model, Kind.SYNCNET, device=device, dtype=torch.float32)[0]


def any_face(text: str) -> FaceChoice:
    """What --face says where every face that is found is measured: "auto", "full" or a box."""
    face = face_choice(text)
    if face in ("auto", "full") or (isinstance(face, tuple) and len(face) == 4):
        return face
    raise InputError(f"--face {text} picks one of the faces, but all are measured: give auto, full, or a face's box.")


def describe(result) -> str:
    """A ``VideoScore`` in words and figures."""
    from ..syncnet.tracks import MIN_FACE

    if not result.faces:
        return NO_FACE.format(pixels=MIN_FACE)
    return "\n".join(line for number, face in enumerate(result.faces, 1) for line in _lines(number, face))


def _lines(number: int, face) -> list[str]:
    from ..syncnet.plot import signed

    where = "" if face.box is None else " around {:.0f},{:.0f} to {:.0f},{:.0f}".format(*face.box)
    lines = [f"face {number}: {face.first / FPS:.2f} s to {(face.first + face.frames) / FPS:.2f} s{where}"]
    report = face.report
    if report.confidence is None:
        return [*lines, f"  no figures: {report.verdict.value}"]
    if report.verdict is not None:
        lines.append(f"  {report.verdict.value}: the sound does not fit the mouth at any offset")
    lines.append(f"  {'':26s}Sync-C   Sync-D   offset (frames of 40 ms, positive: sound ahead)")
    for name, figures in (("zero-padded, as published", report.padded), ("overlap only", report.overlap)):
        offset = signed(figures.offset) if report.verdict is None else "none"
        lines.append(f"  {name:26s}{figures.confidence:6.2f}   {figures.distance:6.2f}   {offset:>6s}")
    means = report.per_second[:, 0].tolist()
    lines.append("  confidence by the second  " + " ".join(f"{value:.1f}" for value in means[:60]))
    if len(means) > 60:
        lines.append(f"  ({len(means) - 60} more seconds: --json or --plot)")
    return lines


def checked_plot(path: Path, sources: Sequence[str]) -> Path:
    """``path`` if a picture can be written there."""
    if path.suffix.lower() != ".png":
        raise InputError(f"--plot {path} would be no picture of a known kind; give a name that ends with .png.")
    return check_new_file(path, sources)


def write_plot(path: Path, report, title: str) -> None:
    """Draw a report into a .png file."""
    from PIL import Image

    from ..syncnet.plot import plot_report

    with new_file(path) as partial:
        Image.fromarray(plot_report(report, title=title).numpy()).save(partial, "PNG")
