"""From which Sync-C on the tiny SyncNet's offset means anything: how often clips reach `SyncNetConfig.clear`.

    python -m benchmarks.sync_threshold [--clips 24]

Drawn people with utterances of their own, none of which a recipe has met, are scored over 41 and over 81 frames. Sound
that fits: their own, cut 10 frames early, as it is and 10 frames late, and what the tiny student made their mouths say.
Sound that does not: what others say (three per clip), their own in pieces of 0.2 s shuffled (three orders), white
noise, and noise with the spectrum of their speech. Printed by kind and length: Sync-C from lowest to highest, the share
of clips that reach the threshold (right of sound that fits, a false alarm of other sound), and the share of clips in
which the lowest distance lies at the true offset. Needs espeak-ng.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from lipforcing.pipeline import sync_crops
from lipforcing.syncnet.report import SyncReport, Verdict
from lipforcing.syncnet.score import score
from lipforcing.timeline import SAMPLE_RATE, SAMPLES_PER_FRAME
from lipforcing.tiny import family

from .common import hardware, table
from .tiny_syncnet import OFFSETS, STRANGERS, make_clips

LENGTHS = (41, 81)
MARGIN = OFFSETS.stop - 1
PIECE = SAMPLE_RATE // 5


def shuffled(sound: Tensor, seed: int) -> Tensor:
    """The pieces of a sound [samples] in another order."""
    pieces = sound[: len(sound) // PIECE * PIECE].reshape(-1, PIECE)
    return pieces[torch.randperm(len(pieces), generator=torch.Generator().manual_seed(seed))].flatten()


def noise(like: Tensor, seed: int, coloured: bool) -> Tensor:
    """White noise as loud as a sound [samples], or noise with its spectrum (random phases)."""
    random = torch.randn(len(like), generator=torch.Generator().manual_seed(seed))
    if coloured:
        phases = torch.fft.rfft(random)
        random = torch.fft.irfft(torch.fft.rfft(like).abs() * phases / phases.abs(), len(like))
    return random * like.std() / random.std()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    clips = list(make_clips(parser.parse_args().clips, max(LENGTHS)))
    syncnet, tiny = family.load("syncnet"), family.tiny_family()
    found: dict[tuple[str, int], list[tuple[int, SyncReport]]] = {}

    def hear(kind: str, crops: Tensor, sound: Tensor, offset: int = 0) -> None:
        sound = sound[(MARGIN + offset) * SAMPLES_PER_FRAME :]
        for frames in LENGTHS:
            report = score(syncnet, crops[:frames], sound[: frames * SAMPLES_PER_FRAME])
            found.setdefault((kind, frames), []).append((offset, report))

    for i, (crops, own) in enumerate(clips):
        for offset in (-MARGIN, 0, MARGIN):
            hear("own sound", crops, own, offset)
        others = [clips[(i + 1 + n) % len(clips)][1] for n in range(STRANGERS)]
        said = others[0][MARGIN * SAMPLES_PER_FRAME :]
        dubbed, _ = sync_crops(tiny, crops.permute(0, 3, 1, 2).float() / 127.5 - 1, said, i)
        hear("the student's", dubbed.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1), others[0])
        for n, other in enumerate(others):
            hear("another's", crops, other)
            hear("shuffled", crops, shuffled(own, 100 * i + n))
        hear("white noise", crops, noise(own, i, coloured=False))
        hear("noise like speech", crops, noise(own, i, coloured=True))

    print(hardware())
    rows = []
    for (kind, frames), reports in sorted(found.items(), key=lambda entry: entry[0][1]):
        confidences = torch.tensor([report.padded.confidence for _, report in reports])
        spread = " ".join(f"{value:.2f}" for value in confidences.quantile(torch.tensor([0, 0.05, 0.5, 0.95, 1])))
        clear = sum(report.verdict is not Verdict.UNCLEAR for _, report in reports) / len(reports)
        at = sum(report.padded.offset == offset for offset, report in reports) / len(reports)
        rows.append((kind, frames, len(reports), spread, f"{clear:.1%}", f"{at:.1%}"))
    header = ("sound", "frames", "trials", "Sync-C: lowest, 5 %, half, 95 %, highest", "clear", "offset found")
    print(table(header, rows))


if __name__ == "__main__":
    main()
