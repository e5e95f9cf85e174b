"""Command line: ``lipforcing COMMAND ...``; ``lipforcing COMMAND -h`` explains each."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from .errors import InputError

DRAWN_FACES_ONLY = (
    "note: the tiny model was trained on drawn faces; on a camera recording it shows that everything works, "
    "not how good lip sync looks. Use the released 14B student for that (see the README)."
)

DTYPES = {"auto": None, "bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Bar:
    """Progress callback of a run: frames done, speed and remaining time."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None

    def __call__(self, done: int, total: int, _picture: torch.Tensor) -> None:
        if self.bar is None:
            self.bar = tqdm(total=total, unit="frame", desc="lip sync")
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


class ByteBar:
    """Progress callback of a conversion: bytes written and bytes in all."""

    def __enter__(self) -> ByteBar:
        self.bar = tqdm(unit="B", unit_scale=True, desc="writing")
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def __call__(self, done: int, total: int) -> None:
        self.bar.total = total
        self.bar.update(done - self.bar.n)


def face_choice(text: str) -> str | tuple[float, ...]:
    """``auto``, ``full`` or a box x0,y0,x1,y1 in pixels."""
    if text in ("auto", "full"):
        return text
    try:
        box = tuple(float(value) for value in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or box[2] <= box[0] or box[3] <= box[1]:
        raise InputError(f"--face {text!r} is no face: give auto, full, or a box x0,y0,x1,y1 with x0 < x1 and y0 < y1.")
    return box


def device_choice(text: str) -> torch.device:
    """A device that exists here."""
    try:
        device = torch.device(text)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"--device {text!r} cannot be used here; give cpu, cuda, cuda:N or mps, as available."
        ) from error
    return device


def command_demo(arguments: argparse.Namespace) -> None:
    """Lip-sync a bundled clip and measure it."""
    from .tiny.demo import run_demo

    bar = Bar()
    demo = run_demo(arguments.out, arguments.seed, device_choice(arguments.device), bar)
    bar.close()
    result = demo.result
    print(f"{result.frames} frames at {result.fps:.1f} fps, first frame after {result.first_frame_seconds:.2f} s")
    print(f"{'':28s}source   result")
    rows = (
        ("mouth / speech correlation", demo.before.correlation, demo.after.correlation),
        ("Sync-C (tiny SyncNet)", demo.before.sync.padded.confidence, demo.after.sync.padded.confidence),
        ("Sync-D (tiny SyncNet)", demo.before.sync.padded.distance, demo.after.sync.padded.distance),
        ("AV offset in frames", demo.before.sync.padded.offset, demo.after.sync.padded.offset),
    )
    for name, before, after in rows:
        print(f"{name:26s}{before:8.2f} {after:8.2f}")
    for path in (result.path, demo.side_by_side, demo.plot):
        print(path)


def command_sync(arguments: argparse.Namespace) -> None:
    """Lip-sync a video to a recording."""
    from .faces.selection import tracker_for
    from .media import AudioSource, DurationPolicy, VideoReader
    from .pipeline import SyncOptions, sync_file

    device = device_choice(arguments.device)
    face = face_choice(arguments.face)
    options = SyncOptions(arguments.seed, DurationPolicy(arguments.length, arguments.fill), arguments.lossless)
    with VideoReader(arguments.video) as video:
        audio = AudioSource(arguments.audio)
        tracker = tracker_for(face, arguments.detector, device)
        models = load_models(arguments, device)
        bar = Bar()
        result = sync_file(models, video, audio, arguments.out, tracker, options, bar)
        bar.close()
    print(f"{result.path}: {result.plan.description}")
    if result.untouched:
        print(f"{result.untouched} of {result.frames} frames have no usable face and are the source's own.")
    print(f"{result.fps:.1f} frames per second, first frame after {result.first_frame_seconds:.2f} s")
    if arguments.model == "tiny":
        print(DRAWN_FACES_ONLY, file=sys.stderr)


def load_models(arguments: argparse.Namespace, device: torch.device):
    """The models that the options of ``sync`` name."""
    from .pipeline import Models
    from .tiny import family

    parts = {
        "--codec": arguments.codec,
        "--audio-encoder": arguments.audio_encoder,
        "--text-embeds": arguments.text_embeds,
    }
    if not any(parts.values()):
        return family.models(device, None if arguments.model == "tiny" else arguments.model)
    if missing := [option for option, path in parts.items() if path is None]:
        raise InputError(f"A released student also needs {' and '.join(missing)}; give these files too.")
    return Models.from_files(
        arguments.model,
        *parts.values(),
        arguments.decoder,
        device=device,
        dtype=DTYPES[arguments.dtype],
        audio_window=arguments.audio_window,
    )


def command_inspect(arguments: argparse.Namespace) -> None:
    """Say what is in a file of weights."""
    from .checkpoints import inspect

    inspection = inspect(arguments.file)
    print(inspection.to_json() if arguments.json else inspection.to_text())


def command_convert(arguments: argparse.Namespace) -> None:
    """Convert weights to safetensors."""
    from .checkpoints import convert

    with ByteBar() as bar:
        print(convert(arguments.source, arguments.out, arguments.dtype, bar, arguments.schedule))


def command_merge(arguments: argparse.Namespace) -> None:
    """Merge adapters into the base model."""
    from .checkpoints import Kind, merge

    kind = Kind.STUDENT if arguments.student else Kind.TEACHER
    *adapters, out = arguments.adapters_and_out
    if not adapters:
        raise InputError("merge takes a base model, at least one adapter and the name of the result.")
    with ByteBar() as bar:
        print(merge(arguments.base, adapters, out, arguments.dtype, bar, kind=kind))


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="lipforcing", description="Lip synchronization with causal video diffusion.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run, summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(run=run)
        return command

    demo = add("demo", command_demo, "Lip-sync a bundled clip with the tiny model and measure it; needs no download.")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    demo.add_argument("--seed", type=int, default=42, help="seed of the noise (default: 42)")
    demo.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps (default: cpu)")

    sync = add("sync", command_sync, "Lip-sync a video to a speech recording.")
    sync.add_argument("video", help="video file with one talking face")
    sync.add_argument("audio", help="speech: an audio file, or a video file with sound")
    sync.add_argument("-o", "--out", type=Path, required=True, help="result: .mp4, .mov or .mkv")
    sync.add_argument("--model", default="tiny", help="tiny, or a student file (default: tiny)")
    sync.add_argument("--codec", metavar="FILE", help="Wan 2.1 VAE, for a released student")
    sync.add_argument("--decoder", metavar="FILE", help="TAEW 2.1 or another VAE to decode with (default: the codec)")
    sync.add_argument("--audio-encoder", metavar="FILE", help="wav2vec2-base-960h, for a released student")
    sync.add_argument("--text-embeds", metavar="FILE", help="UMT5 embedding of the prompt, for a released student")
    sync.add_argument(
        "--audio-window",
        type=float,
        metavar="SECONDS",
        help="let audio attention see this much at once, for long recordings (default: everything)",
    )
    sync.add_argument("--dtype", choices=DTYPES, default="auto", help="of the released models (default: the file's)")
    sync.add_argument("--seed", type=int, default=42, help="seed of the noise (default: 42)")
    sync.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps (default: cpu)")
    sync.add_argument(
        "--face",
        default="auto",
        help="auto: detect and track; full: the footage is a face crop; or the face's box x0,y0,x1,y1 in pixels",
    )
    sync.add_argument(
        "--detector",
        default=os.environ.get("LIPFORCING_DETECTOR", "models/yunet_final.pth"),
        help="YuNet weights for --face auto (default: $LIPFORCING_DETECTOR, else models/yunet_final.pth)",
    )
    sync.add_argument(
        "--length",
        choices=("audio", "video"),
        default="audio",
        help="what decides the output's length (default: audio)",
    )
    sync.add_argument(
        "--fill",
        choices=("pingpong", "loop", "hold"),
        default="pingpong",
        help="how a video that is shorter than the audio goes on (default: pingpong)",
    )
    sync.add_argument("--lossless", action="store_true", help="write exactly the finished pixels (large files)")

    inspect = add("inspect", command_inspect, "Say what a file of weights is, without running anything in it.")
    inspect.add_argument("file", help="weights: a file or a folder")
    inspect.add_argument("--json", action="store_true", help="machine-readable")

    convert = add("convert", command_convert, "Convert weights to safetensors, tensor by tensor in bounded memory.")
    convert.add_argument("source", help="weights: a file or a folder")
    convert.add_argument("out", help="the new .safetensors file")
    convert.add_argument("--dtype", choices=("bf16", "fp16", "fp32", "fp8_e4m3fn"), help="default: as they are")
    convert.add_argument(
        "--schedule", type=float, nargs="+", default=(), metavar="SIGMA", help="noise levels to note for a student"
    )

    merge = add(
        "merge", command_merge, "Merge the teacher's adapter (and a student's training delta) into plain Wan 2.1."
    )
    merge.add_argument("base", help="plain Wan 2.1: a file or a folder of shards")
    merge.add_argument("adapters_and_out", nargs="+", metavar="ADAPTER ... OUT", help="adapters, then the new file")
    merge.add_argument("--dtype", choices=("bf16", "fp16", "fp32", "fp8_e4m3fn"), default="bf16", help="default: bf16")
    merge.add_argument("--student", action="store_true", help="the last adapter is a student's training delta")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 on success, 2 with one sentence on stderr for a problem with the input."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except InputError as error:
        print(f"lipforcing: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lipforcing: cancelled, nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
