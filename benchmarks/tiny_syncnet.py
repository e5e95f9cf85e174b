"""How well a tiny SyncNet finds constructed offsets and tells right speech from wrong, on people and speech unseen.

    python -m benchmarks.tiny_syncnet --clips 60 --frames 81 [--part syncnet_logmel]

Every clip is drawn with the mouth of its own utterance. Offsets: the sound is cut 10 frames early to 10 frames late
(21 trials per clip), and counts as found where SyncNet's offset is exactly that. Matching: Sync-C of a clip with its
own sound (offset 0) against Sync-C with other clips' sound (three per clip); the area under the curve is the share of
pairs in which the matching one is higher. Sync-C searches 15 frames either way, as always. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.drawn.speech import utterance
from lipforcing.syncnet import SyncNet, SyncReport
from lipforcing.syncnet.report import report
from lipforcing.syncnet.score import Distances
from lipforcing.syncnet.windows import AudioTrack, LipTrack, to_pcm16
from lipforcing.timeline import FPS, SAMPLES_PER_FRAME
from lipforcing.tiny import family

PEOPLE, SPEECH = 67_000_000, 79_000_000  # seeds; the recipes use people and speech below 50_000_000
OFFSETS = range(-10, 11)
STRANGERS = 3
SIZE = (family.CROP_SIZE, family.CROP_SIZE)

Clip = tuple[Tensor, Tensor]  # crops uint8 [T, H, W, 3], and sound [samples] from 10 frames before to 10 after them


@dataclass
class Trials:
    """Outcome: ``found`` of ``total`` offsets; ``confidences`` of matched and of mismatched sound; wrong answers."""

    found: int = 0
    found_by_overlap: int = 0
    total: int = 0
    matched: list[float] = field(default_factory=list)
    mismatched: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)

    @property
    def area(self) -> float:
        """Area under the curve of Sync-C."""
        right, wrong = torch.tensor(self.matched)[:, None], torch.tensor(self.mismatched)
        return ((right > wrong).float() + 0.5 * (right == wrong).float()).mean().item()


def draw(who: int, mouth: Tensor) -> Tensor:
    """Crops of person ``who`` for the middle of a mouth track [T + 20, 5]: uint8 [T, H, W, 3]."""
    margin = OFFSETS.stop - 1
    return render(Identity.sample(who), mouth, sample_head(who, len(mouth)), SIZE)[margin:-margin]


def make_clips(count: int, frames: int) -> Iterable[Clip]:
    """Unseen people saying what no recipe has heard."""
    for i in tqdm(range(count), desc="clips"):
        waveform, mouth = utterance(SPEECH + i, (frames + 2 * (OFFSETS.stop - 1)) / FPS)
        yield draw(PEOPLE + i, mouth), waveform


@torch.no_grad()
def trials(model: SyncNet, clips: list[Clip]) -> Trials:
    """All trials of these clips."""
    result = Trials()
    margin = OFFSETS.stop - 1
    for i, (crops, waveform) in enumerate(clips):
        lips = LipTrack(model)(crops)

        def heard(sound: Tensor, offset: int = 0, lips: Tensor = lips, frames: int = len(crops)) -> SyncReport:
            start = (margin + offset) * SAMPLES_PER_FRAME
            pcm = to_pcm16(sound[start : start + frames * SAMPLES_PER_FRAME])
            audio = AudioTrack(model, pcm)
            stream = Distances(audio.embeddings, audio.windows)
            return report(torch.cat([stream.push(lips), stream.close()]), pcm)

        for offset in OFFSETS:
            answer = heard(waveform, offset)
            result.total += 1
            result.found += answer.padded.offset == offset
            result.found_by_overlap += answer.overlap.offset == offset
            if answer.padded.offset != offset:
                result.errors.append(answer.padded.offset - offset)
        result.matched.append(heard(waveform).padded.confidence)
        for stranger in range(1, min(STRANGERS + 1, len(clips))):
            other = clips[(i + stranger) % len(clips)][1]
            result.mismatched.append(heard(other).padded.confidence)
    return result


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--part", choices=("syncnet", "syncnet_logmel"), default="syncnet")
    arguments = parser.parse_args()
    clips = list(make_clips(arguments.clips, arguments.frames))
    result = trials(family.load(arguments.part), clips)
    right, wrong = torch.tensor(result.matched), torch.tensor(result.mismatched)
    print(f"{arguments.clips} clips of {arguments.frames} frames")
    print(f"offsets found exactly: {result.found} of {result.total} ({result.found / result.total:.1%})")
    print(f"  over the overlap alone: {result.found_by_overlap} of {result.total}; errors in frames: {result.errors}")
    print(f"area under the curve of Sync-C, matched against mismatched: {result.area:.4f}")
    print(f"  Sync-C matched: mean {right.mean():.2f}, lowest {right.min():.2f}")
    print(f"  Sync-C mismatched: mean {wrong.mean():.2f}, highest {wrong.max():.2f}")


if __name__ == "__main__":
    main()
