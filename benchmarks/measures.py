"""What every measure says of the truth, of the tiny student, and of results that are broken on purpose.

    python -m benchmarks.measures [--out measures] [--clips 8]

Drawn people whose mouths speak another text are to say a text with a pause of digital silence in it; the reference has
the right mouth, so the truth is known. Broken results are the reference with one fault each (``FAULTS``). Printed: the
thresholds of closed and moving lips with their error rates, of the mesh and of the mouth meter, against the drawn
truth; then a table of all measures, means over clips with 95 % intervals, in which a value stands in bold where its
interval lies apart from that of the truth. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from lipforcing.drawn.faces import RELAXED, Identity, render, sample_head
from lipforcing.drawn.speech import VOICES, random_sentence, speak, utterance
from lipforcing.drawn.visemes import Phoneme, viseme_track
from lipforcing.evaluation import Evaluation, Options, Summary, evaluate
from lipforcing.evaluation.lips import CLOSED, MOVES, LipReader
from lipforcing.evaluation.metrics import BY_KEY
from lipforcing.faces.align import full_frame_matrix
from lipforcing.faces.follow import FixedFollower
from lipforcing.faces.mask import blend_mask, mouth_mask
from lipforcing.media import Audio, AudioSource, ImagePicture, Picture, VideoReader, VideoWriter
from lipforcing.pipeline import SyncOptions, sync_file
from lipforcing.stream.family import Family
from lipforcing.timeline import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME
from lipforcing.tiny import family
from lipforcing.tiny.measure import small_crop

from .common import hardware, table

PEOPLE, SPEECH = 66_900_000, 78_900_000  # seeds; the recipes use people and speech below 50_000_000
SPOKEN = ((0.16, 1.5), (2.7, 3.6))  # seconds in which a sentence is said, cut where it is longer
FRAMES = 90
SIZE = (256, 192)  # height, width
CLOSED_TRUTH, MOVES_TRUTH = 0.02, 0.03  # of the drawn opening's range; per frame
KEYS = (
    "sync_c", "sync_d", "sync_c_second", "sync_d_second", "offset", "ssim_mouth", "psnr_mouth", "closure_f1",
    "closure_precision", "closure_recall", "opening", "opening_best", "opening_lag", "opening_mean", "opening_95",
    "opening_sound", "pauses_moving", "silence_closed", "sharpness", "flicker", "seam", "outside_changed",
    "outside_psnr",
)  # fmt: skip
OWN = {
    "other words": ("sync_c", "sync_c_second", "opening", "opening_best"),
    "frozen": ("opening", "sync_c", "sync_c_second"),
    "half as wide": ("opening_mean", "opening_95"),
    "never closes": ("closure_f1", "closure_recall", "silence_closed"),
    "babbles in pauses": ("pauses_moving", "silence_closed"),
    "4 frames late": ("offset", "opening_lag", "opening"),
    "blurred": ("sharpness",),
    "flickers": ("flicker",),
    "seam": ("seam",),
    "coded again": ("outside_changed", "outside_psnr"),
}
"""Measures that are there to see a fault."""


@dataclass(frozen=True)
class Said:
    """Sound, phonemes and the mouth that goes with them."""

    waveform: Tensor
    phonemes: tuple[Phoneme, ...]
    mouth: Tensor


def said(number: int) -> Said:
    """Two sentences with silence between them."""
    waveform, phonemes = torch.zeros(FRAMES * SAMPLES_PER_FRAME), []
    voice = VOICES[number % len(VOICES)]
    for part, (start, end) in enumerate(SPOKEN):
        spoken = speak(random_sentence(SPEECH + 2 * number + part), voice)
        first = round(start * SAMPLE_RATE)
        samples = 0.8 * spoken.waveform[: round(end * SAMPLE_RATE) - first] / spoken.waveform.abs().amax()
        waveform[first : first + len(samples)] = samples
        phonemes += [(symbol, a + start, min(b + start, end)) for symbol, a, b in spoken.phonemes if a + start < end]
    return Said(waveform, tuple(phonemes), viseme_track(phonemes, FRAMES, waveform=waveform))


def paused(mouth: Tensor) -> Tensor:
    """Which frames lie well inside the pause: bool [T]."""
    at = torch.arange(len(mouth)) / FPS
    return (at > SPOKEN[0][1] + 0.1) & (at < SPOKEN[1][0] - 0.1)


def babbled(mouth: Tensor) -> Tensor:
    """A mouth that goes on in the pause."""
    mouth = mouth.clone()
    pause = paused(mouth)
    mouth[pause, 0] = 0.35 + 0.3 * torch.sin(2 * torch.pi * 4 / FPS * torch.arange(int(pause.sum())))
    return mouth


def opened(mouth: Tensor, least: float, factor: float = 1.0) -> Tensor:
    """A mouth whose opening is scaled, and never less than ``least``."""
    mouth = mouth.clone()
    mouth[:, 0] = (factor * mouth[:, 0]).clamp(min=least)
    return mouth


def blended(pictures: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """uint8 [T, H, W, 3] with ``other`` (float) in the mouth; weight on the mask's grid [256, 256]."""
    at = F.interpolate(weight.float()[None, None], SIZE, mode="bilinear", antialias=True)[0, 0, :, :, None]
    return torch.lerp(pictures.float(), other, at).round().clamp(0, 255).to(torch.uint8)


def blurred(pictures: Tensor) -> Tensor:
    """A mean over 5 pixels either way."""
    return F.avg_pool2d(pictures.permute(0, 3, 1, 2).float(), 5, 1, 2, count_include_pad=False).permute(0, 2, 3, 1)


MOUTHS: dict[str, Callable[[Tensor], Tensor]] = {
    "frozen": lambda mouth: mouth.mean(0).expand(len(mouth), -1),
    "half as wide": lambda mouth: opened(mouth, 0.0, 0.5),
    "never closes": lambda mouth: opened(mouth, 0.25),
    "babbles in pauses": babbled,
    "4 frames late": lambda mouth: torch.cat([torch.tensor([RELAXED] * 4), mouth[:-4]]),
}
"""Faults of the mouth track."""

PICTURES: dict[str, Callable[[Tensor], Tensor]] = {
    "blurred": lambda shown: blended(shown, blurred(shown), blend_mask()),
    "flickers": lambda shown: blended(
        shown, shown + 4.0 * (torch.arange(len(shown)) % 2)[:, None, None, None], blend_mask()
    ),
    "seam": lambda shown: blended(shown, shown + 5.0, mouth_mask()),
}
"""Faults of the pictures."""

ROWS = ("truth", "other words", "student", *MOUTHS, *PICTURES, "coded again")


def write(path: Path, pictures: Tensor, waveform: Tensor, **options) -> None:
    """A video of a face crop; lossless unless options say otherwise."""
    options = {"lossless": True, "audio": Audio(waveform[None], SAMPLE_RATE)} | options
    with VideoWriter(path, SIZE[1], SIZE[0], Fraction(FPS), **options) as writer:
        for number, picture in enumerate(pictures):
            writer.write(picture, number / FPS)


def make_clip(out: Path, number: int, student: Family) -> None:
    """All rows of one clip, where they are not there yet, and its phonemes."""
    name = f"clip_{number:02d}.mkv"
    if (out / ROWS[-1] / name).exists():
        return
    own = said(number)
    _, other = utterance(SPEECH + 500 + number, FRAMES / FPS)
    who, pose = Identity.sample(PEOPLE + number), sample_head(PEOPLE + number, FRAMES)

    def drawn(mouth: Tensor) -> Tensor:
        return render(who, mouth, pose, SIZE)

    truth = drawn(own.mouth)
    (out / "phonemes" / name).with_suffix(".json").write_text(json.dumps(own.phonemes))
    write(out / "truth" / name, truth, own.waveform)
    write(out / "other words" / name, drawn(other), own.waveform)
    with VideoReader(out / "other words" / name) as video:
        options = SyncOptions(seed=number, lossless=True)
        sync_file(student, video, AudioSource(out / "truth" / name), out / "student" / name, FixedFollower(), options)
    for fault, broken in MOUTHS.items():
        write(out / fault / name, drawn(broken(own.mouth)), own.waveform)
    for fault, broken in PICTURES.items():
        write(out / fault / name, broken(truth), own.waveform)
    write(out / ROWS[-1] / name, truth, own.waveform, lossless=False, quality=23.0)


class RememberingReader(LipReader):
    """Reads a picture once: every row has the same references."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, Tensor] = {}

    def __call__(self, pictures: Sequence[Picture], matrices: Tensor) -> Tensor:
        keys = [hashlib.sha256(picture.rgb().numpy().tobytes()).digest() for picture in pictures]
        for key, picture, matrix in zip(keys, pictures, matrices):
            if key not in self._known:
                self._known[key] = super().__call__([picture], matrix[None])
        return torch.cat([self._known[key] for key in keys])


@torch.inference_mode()
def readings(out: Path, clips: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of every clip's truth: the drawn opening, the mesh's gap, the meter's opening, [T] each."""
    reader, meter, found = LipReader(), family.load("meter"), []
    for number in tqdm(range(clips), desc="reading"):
        with VideoReader(out / "truth" / f"clip_{number:02d}.mkv") as video:
            shown = torch.stack([frame.image for frame in video.frames()])
        matrices = full_frame_matrix(*SIZE).expand(len(shown), -1, -1)
        gap = reader([ImagePicture(picture) for picture in shown], matrices)
        small = torch.stack([small_crop(picture) for picture in shown])
        opening = meter(small.permute(0, 3, 1, 2).float() / 127.5 - 1)[:, 0]
        found.append((said(number).mouth[:, 0], gap, opening))
    return found


def error_rates(found: list[tuple[Tensor, Tensor, Tensor]]) -> list[list[str]]:
    """Rows of a table: what each instrument's thresholds miss of the drawn truth, and what they invent."""
    truth, gap, meter = (torch.cat(column) for column in zip(*found))
    steps = [torch.cat([values.diff().abs() for values in column]) for column in zip(*found)]
    shut, moving = truth <= CLOSED_TRUTH, steps[0] > MOVES_TRUTH
    rows = []
    for name, read, step, closed, moves in (
        ("mesh", gap, steps[1], CLOSED, MOVES),
        ("mouth meter", meter, steps[2], 0.08, MOVES_TRUTH),
    ):
        said_shut, said_moving = read < closed, step > moves
        shares = [(~said_shut)[shut], said_shut[truth > 0.05], said_shut[truth > 0.1], said_shut[truth > 0.2]]
        shares += [(~said_moving)[moving], said_moving[steps[0] < 0.002], said_moving[steps[0] < 0.01]]
        rows.append([name, f"{closed:g}", *map(_percent, shares[:4]), f"{moves:g}", *map(_percent, shares[4:])])
    return rows


def _percent(hits: Tensor) -> str:
    return f"{100 * float(hits.float().mean()):.1f} %" if len(hits) else "-"


RATES = (
    "instrument", "closed below", "missed", "false above .05", "above .1", "above .2", "moves above", "missed",
    "false of still", "false below .01",
)  # fmt: skip


def cell(key: str, row: str, summary: Summary | None, truth: Summary | None) -> str:
    """Mean and interval; bold where it lies apart from the truth's, starred where the measure is there to see that."""
    if summary is None:
        return "-"
    figures = f"{summary.mean:.3g} ({summary.low:.3g} to {summary.high:.3g})"
    apart = truth is not None and (summary.low > truth.high or summary.high < truth.low)
    return f"{f'**{figures}**' if apart else figures}{' *' if key in OWN.get(row, ()) else ''}"


def unseen(evaluations: dict[str, Evaluation]) -> list[str]:
    """Faults that a measure which is there to see them does not tell from the truth."""
    missed = []
    truth = evaluations["truth"].summaries
    for row, keys in OWN.items():
        for key in keys:
            one = evaluations[row].summaries.get(key)
            if one is None or not (one.low > truth[key].high or one.high < truth[key].low):
                missed.append(f"{BY_KEY[key].title}: {row}")
    return missed


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("measures"))
    parser.add_argument("--clips", type=int, default=8)
    arguments = parser.parse_args()
    out, clips = arguments.out, arguments.clips
    for folder in (*ROWS, "phonemes"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    student = family.tiny_family()
    for number in tqdm(range(clips), desc="clips"):
        make_clip(out, number, student)
    print(hardware())
    print(table(RATES, error_rates(readings(out, clips))))
    models = {"second": family.load("syncnet_logmel"), "lips": RememberingReader()}
    options = Options(family.load("syncnet"), "full", phonemes=out / "phonemes", **models)
    found = {row: evaluate(out / row, out / "truth", options) for row in tqdm(ROWS, desc="rows")}
    summaries = {row: one.summaries for row, one in found.items()}
    lines = [
        [BY_KEY[key].title, *(cell(key, row, summaries[row].get(key), summaries["truth"].get(key)) for row in ROWS)]
        for key in KEYS
    ]
    print(table(["measure", *ROWS], lines))
    print(f"not seen: {'; '.join(unseen(found)) or 'nothing'}")
    (out / "measures.json").write_text(json.dumps({row: one.to_dict() for row, one in found.items()}, indent=1))


if __name__ == "__main__":
    main()
