"""``python -m lipforcing.tiny.train [PART ...] [--out DIR]``: train parts of the tiny family from scratch.

Parts, in the order of their dependence: codec, meter, syncnet, syncnet_logmel, teacher, student. Weights go to the
package's own folder, logs, plots and cached training data to ``--out``. An interrupted part goes on from its last
checkpoint, but draws its data from the start of their order again.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import torch

from ...checkpoints.files import open_tensors
from ...models.syncnet import SyncNetConfig
from .. import family
from . import codec, denoiser, meter, syncnet
from .data import SpeechClips, speech_clips
from .latents import LatentClips, encode_clips

ORDER = ("codec", "meter", "syncnet", "syncnet_logmel", "teacher", "student")
DATA_SEED, CLIPS, FRAMES = 21, 360, 105
OTHER_SEED, OTHER_CLIPS = 22, 200


def clips(out: Path) -> SpeechClips:
    """The talking clips that syncnet, teacher and student learn from."""
    return speech_clips(DATA_SEED, CLIPS, FRAMES, out / "data")


def latents(out: Path) -> LatentClips:
    """Their latents, made with the committed codec."""
    path = out / "data" / "latents.pt"
    if not path.exists():
        torch.save(vars(encode_clips(clips(out), family.load("codec"))), path)
    return LatentClips(**open_tensors(path))


def train_part(part: str, out: Path) -> None:
    """Train one part and store its weights."""
    if part == "codec":
        module, recipe = codec.run(out), codec.RECIPE
    elif part == "meter":
        module, recipe = meter.run(out), meter.RECIPE
    elif part == "syncnet":
        module, recipe = syncnet.run(clips(out), out), syncnet.RECIPE
    elif part == "syncnet_logmel":  # other people and other speech: an opinion of its own
        others = speech_clips(OTHER_SEED, OTHER_CLIPS, FRAMES, out / "data")
        module, recipe = syncnet.run(others, out, syncnet.LOGMEL, SyncNetConfig.tiny_logmel()), syncnet.LOGMEL
    elif part == "teacher":
        module, recipe = denoiser.train_teacher(latents(out), out), denoiser.TEACHER
    else:
        module, recipe = denoiser.train_student(latents(out), family.load("teacher"), out), denoiser.STUDENT
    family.save(part, module, asdict(recipe))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="lipforcing.tiny.train", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(ORDER)} (default: all)")
    parser.add_argument("--out", type=Path, default=Path("training"), help="logs, plots and cached data")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(ORDER):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; choose from {', '.join(ORDER)}")
    for part in arguments.parts or ORDER:
        train_part(part, arguments.out)


if __name__ == "__main__":
    main()
