"""``lipforcing evaluate``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..output import check_new_file, new_file
from .common import add, add_device, add_face, device_choice
from .score import any_face, load_syncnet


def add_commands(commands) -> None:
    """Add the command to the collection."""
    evaluate = add(
        commands, "evaluate", command_evaluate, "Compare dubbed videos with their references (docs/evaluation.md)."
    )
    evaluate.add_argument("results", type=Path, help="folder of results")
    evaluate.add_argument(
        "--reference", type=Path, required=True, metavar="DIR", help="folder of references, same names"
    )
    evaluate.add_argument("--against", type=Path, metavar="DIR", help="another system's results, compared pair by pair")
    style = evaluate.add_mutually_exclusive_group()
    style.add_argument("--json", action="store_true", help="machine-readable, with every clip")
    style.add_argument("--csv", action="store_true", help="a line per clip")
    style.add_argument("--html", action="store_true", help="a page with plots")
    evaluate.add_argument("-o", "--out", type=Path, metavar="FILE", help="write there instead of printing")
    evaluate.add_argument(
        "--boxes",
        choices=("reference", "own"),
        default="reference",
        help="crop both videos at the reference's face, or each at its own (default: reference)",
    )
    add_face(evaluate)
    evaluate.add_argument("--model", default="tiny", metavar="FILE", help="syncnet_v2.model, or tiny (default: tiny)")
    evaluate.add_argument(
        "--phonemes",
        type=Path,
        metavar="DIR",
        help="what is said: STEM.json or STEM.TextGrid, for closed lips on P, B, M",
    )
    evaluate.add_argument("--landmarks", type=Path, metavar="FILE", help="dlib's 68-point predictor, for LMD")
    evaluate.add_argument("--lpips-weights", type=Path, metavar="FILE", help="torchvision's AlexNet, for LPIPS")
    evaluate.add_argument(
        "--identity-weights",
        type=Path,
        metavar="FILE",
        help="for identity similarity: @vladmandic/face-api's face_recognition_model.bin (MIT), or an ArcFace backbone",
    )
    evaluate.add_argument("--fid-weights", type=Path, metavar="FILE", help="Inception of torch-fidelity, for FID")
    evaluate.add_argument("--fvd-weights", type=Path, metavar="FILE", help="I3D as TorchScript, for FVD")
    add_device(evaluate)


def command_evaluate(arguments: argparse.Namespace) -> None:
    """Compare dubbed videos with their references."""
    from ..evaluation import compare
    from ..evaluation.pairs import videos

    if arguments.out:
        folders = [folder for folder in (arguments.results, arguments.reference, arguments.against) if folder]
        check_new_file(arguments.out, [path for folder in folders for path in videos(folder, []).values()])
    evaluation = measured(arguments, arguments.results)
    differences = None
    if arguments.against:
        differences = compare(evaluation, measured(arguments, arguments.against))
    text = rendered(arguments, evaluation, differences)
    if arguments.out is None:
        print(text)
        return
    with new_file(arguments.out) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def measured(arguments: argparse.Namespace, folder: Path):
    """Evaluation of a folder of results."""
    from ..evaluation import Options, evaluate
    from ..evaluation.frechet import load_fid, load_fvd
    from ..evaluation.identity import load_identity
    from ..evaluation.mouth import dlib_mouth
    from ..evaluation.perceptual import load_lpips
    from ..faces.yunet import YuNetDetector
    from ..tiny import family

    device, face = device_choice(arguments.device), any_face(arguments.face)
    syncnet = load_syncnet(arguments.model, device)

    def loaded(load, path: Path | None):
        return load(path, device) if path else None

    options = Options(
        syncnet,
        face,
        YuNetDetector(arguments.detector, device=device) if arguments.detector else None,
        arguments.boxes,
        None,
        family.load("syncnet_logmel", device) if arguments.model == "tiny" else None,
        arguments.phonemes,
        dlib_mouth(arguments.landmarks) if arguments.landmarks else None,
        loaded(load_lpips, arguments.lpips_weights),
        loaded(load_identity, arguments.identity_weights),
        loaded(load_fid, arguments.fid_weights),
        loaded(load_fvd, arguments.fvd_weights),
    )

    def progress(done: int, total: int, stem: str) -> None:
        print(f"{folder}: {done + 1} of {total}, {stem}", file=sys.stderr)

    return evaluate(folder, arguments.reference, options, progress)


def rendered(arguments: argparse.Namespace, evaluation, differences) -> str:
    """The evaluation in the form that was asked for."""
    from ..evaluation.report import to_csv, to_html, to_text

    if arguments.json:
        plain = {"model": arguments.model, "boxes": arguments.boxes, "face": arguments.face, **evaluation.to_dict()}
        if differences is not None:
            plain["against"] = {key: one.to_dict() for key, one in differences.items()}
        return json.dumps(plain, indent=1)
    if arguments.csv:
        return to_csv(evaluation).rstrip("\n")
    if arguments.html:
        about = f"SyncNet: {arguments.model}, face: {arguments.face}, boxes: {arguments.boxes}"
        return to_html(evaluation, f"{arguments.results} against {arguments.reference} ({about})", differences)
    return to_text(evaluation, differences)
