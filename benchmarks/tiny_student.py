"""Evaluation of the tiny student on drawn people and speech that no recipe has trained on.

    python -m benchmarks.tiny_student --out evaluation --clips 52

Writes three folders of lossless videos, all with the sound of one utterance per clip: ``source``, a person whose mouth
speaks another utterance; ``reference``, the same person and head motion speaking this one; ``results``, the student's
dubbing of ``source``. Then compares results, and for scale the untouched sources, with the references, as ``lipforcing
evaluate`` does, adds how well the mouth openings agree, prints Markdown tables and writes ``evaluation.json``. Nothing
depends on anything but the seeds below. Needs espeak-ng. An interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.drawn.speech import Utterance, passage, viseme_track
from lipforcing.evaluation import Evaluation, Options, compare, evaluate, summarise
from lipforcing.evaluation.report import HEADER, PAIRED_HEADER, paired_table, table
from lipforcing.faces.follow import FixedFollower
from lipforcing.media import Audio, AudioSource, VideoReader, VideoWriter
from lipforcing.pipeline import SyncOptions, sync_file
from lipforcing.stream.family import Family
from lipforcing.timeline import FPS, SAMPLE_RATE
from lipforcing.tiny import family
from lipforcing.tiny.measure import read_crops
from lipforcing.tiny.meter import correlation

from .common import table as markdown

PEOPLE, SPEECH = 66_000_000, 78_000_000  # seeds; the recipes use people and speech below 50_000_000
CLIPS = 52
FRAMES = 81  # as the published test sets
SIZE = (256, 192)  # height, width
FOLDERS = ("source", "reference", "results")
PHONEMES = "phonemes"


@dataclass(frozen=True, eq=False)
class Clip:
    """What is drawn and said in a clip.

    Attributes:
        said: the clip's own utterance.
        mouths: mouth tracks [81, 5] of ``source``, which says the utterance of the clip before, and of ``reference``.
        who, pose: the person, and its head track [81, 8].
    """

    said: Utterance
    mouths: dict[str, Tensor]
    who: Identity
    pose: Tensor

    def pictures(self, version: str) -> Tensor:
        """uint8 [81, 256, 192, 3] of ``source`` or ``reference``."""
        return render(self.who, self.mouths[version], self.pose, SIZE)


def clip(i: int) -> Clip:
    """Clip ``i``; the clips 0 to 51 are frozen (see ``instruments``)."""
    other, own = (passage(SPEECH + number, FRAMES / FPS) for number in (i - 1, i))
    tracks = (viseme_track(said.phonemes, FRAMES, waveform=said.waveform) for said in (other, own))
    mouths = dict(zip(("source", "reference"), tracks))
    return Clip(own, mouths, Identity.sample(PEOPLE + i), sample_head(PEOPLE + i, FRAMES))


def draw_clip(out: Path, i: int) -> None:
    """Write clip ``i`` of ``source`` and ``reference``."""
    name = f"clip_{i:03d}.mkv"
    if all((out / folder / name).exists() for folder in ("source", "reference")):
        return
    drawn = clip(i)
    (out / PHONEMES / name).with_suffix(".json").write_text(json.dumps(drawn.said.phonemes))
    for folder in drawn.mouths:
        options = {"audio": Audio(drawn.said.waveform[None], SAMPLE_RATE), "lossless": True}
        with VideoWriter(out / folder / name, SIZE[1], SIZE[0], Fraction(FPS), **options) as writer:
            for n, picture in enumerate(drawn.pictures(folder)):
                writer.write(picture, n / FPS)


def dub(out: Path, i: int, student: Family) -> None:
    """Write clip ``i`` of ``results``, and its speed."""
    name = f"clip_{i:03d}.mkv"
    path = out / "results" / name
    if path.exists():
        return
    with VideoReader(out / "source" / name) as video:
        speech = AudioSource(out / "reference" / name)
        result = sync_file(student, video, speech, path, FixedFollower(), SyncOptions(seed=i, lossless=True))
    speed = {"fps": result.fps, "first_frame_seconds": result.first_frame_seconds}
    path.with_suffix(".json").write_text(json.dumps(speed))


@torch.inference_mode()
def opening(path: Path) -> Tensor:
    """Mouth opening [T] of a clip as the meter reads it off the picture."""
    return family.load("meter")(read_crops(str(path)).permute(0, 3, 1, 2).float() / 127.5 - 1)[:, 0]


def openings_agree(out: Path, folder: str, clips: int) -> list[float]:
    """Correlation of every clip's mouth opening with the reference's."""
    names = [f"clip_{i:03d}.mkv" for i in range(clips)]
    return [correlation(opening(out / folder / name), opening(out / "reference" / name)) for name in names]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("evaluation"))
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    out, clips = arguments.out, range(arguments.clips)
    for folder in (*FOLDERS, PHONEMES):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for i in tqdm(clips, desc="drawing"):
        draw_clip(out, i)
    student = family.tiny_family(arguments.device)
    for i in tqdm(clips, desc="dubbing"):
        dub(out, i, student)
    second = family.load("syncnet_logmel")
    options = Options(family.load("syncnet"), "full", second=second, phonemes=out / PHONEMES)
    figures: dict[str, Evaluation] = {}
    for folder in ("results", "source"):
        figures[folder] = evaluate(out / folder, out / "reference", options)
        print(f"\n{folder}\n\n{markdown(HEADER, table(figures[folder]))}")
        agreement = summarise(openings_agree(out, folder, arguments.clips))
        print(f"\ncorrelation of mouth openings: {agreement}")
    differences = compare(figures["results"], figures["source"])
    print(f"\nresults less source\n\n{markdown(PAIRED_HEADER, paired_table(differences))}")
    plain = {folder: one.to_dict() for folder, one in figures.items()}
    (out / "evaluation.json").write_text(json.dumps(plain, indent=1))


if __name__ == "__main__":
    main()
