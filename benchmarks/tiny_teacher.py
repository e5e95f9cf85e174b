"""The tiny teacher on drawn people and speech that no recipe has trained on, with several scales of guidance.

    python -m benchmarks.tiny_teacher [--weights FOLDER] [--clips 12] [--steps 20] [--scales 1 1.5 2 3 4.5]
                                      [--samples 1]

The first 45 frames of what the clips of ``tiny_student`` say and show, at 128 x 128; measured with the frozen
instruments (``instruments``). Sync-C as a share of the drawn truth's, correlation of the mouth's opening with the
truth's, its spread as a share of the truth's: means over clips with 95 % intervals, and the clip through the codec
alone for scale. With several samples of each clip, figures are means over them, and the correlation of their mean
opening stands beside that of each: what lies between is what the sound leaves open to the teacher. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor
from tqdm import tqdm

from lipforcing.analysis.clips import drawn_clip
from lipforcing.analysis.measures import Instruments, Measures, levels, video
from lipforcing.distill.validation import mouth_figures
from lipforcing.sampling.guidance import Teacher, sample_euler
from lipforcing.sampling.schedules import teacher_grid
from lipforcing.syncnet import score
from lipforcing.tiny import family
from lipforcing.tiny.meter import correlation

from .common import interval, table

NAMES = (
    "Sync-C",
    "Sync-C, share",
    "Sync-D",
    "opening",
    "amplitude",
    "mean opening, share",
    "PSNR, mouth, dB",
    "opening of the samples' mean",
)
CODEC = "codec alone"


class Truth:
    """A drawn clip, and what is measured against it."""

    def __init__(self, number: int, tools: Instruments) -> None:
        self.measures = Measures(drawn_clip(number), tools)
        self.clip, self.tools = self.measures.clip, tools
        self.pictures = video(self.clip.target)[0].transpose(0, 1)
        self.opening = tools.meter(self.pictures)[:, 0]
        self.confidence = score(tools.syncnet, self.clip.target, self.clip.waveform).padded.confidence

    def figures(self, samples: Sequence[Tensor]) -> tuple[float, ...]:
        """``NAMES`` of latents [1, 16, 12, 16, 16] of the same clip."""
        found, openings = zip(*map(self.sample, samples))
        return (*map(mean, zip(*found)), correlation(torch.stack(openings).mean(0), self.opening))

    def sample(self, latents: Tensor) -> tuple[tuple[float, ...], Tensor]:
        """The figures of one, and its opening [45]."""
        pictures = self.measures.decode(latents)
        opening, shown = self.tools.meter(pictures)[:, 0], levels(pictures)
        sync = score(self.tools.syncnet, shown, self.clip.waveform).padded
        figures = (
            sync.confidence,
            sync.confidence / self.confidence,
            sync.distance,
            correlation(opening, self.opening),
            (opening.std() / self.opening.std()).item(),
            (opening.mean() / self.opening.mean()).item(),
            mouth_figures(shown, self.clip.target)["mouth_psnr"],
        )
        return figures, opening


@torch.inference_mode()
def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=family.WEIGHTS, help="folder with teacher.safetensors")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--scales", type=float, nargs="+", default=[1, 1.5, 2, 3, 4.5])
    parser.add_argument("--samples", type=int, default=1, help="of each clip and scale (default: 1)")
    parser.add_argument("--out", type=Path, help="JSON file for the figures of every clip")
    arguments = parser.parse_args()
    network, tools = family.load("teacher", folder=arguments.weights), Instruments()
    grid = teacher_grid(arguments.steps).tolist()
    found: dict[str, list[tuple[float, ...]]] = {}
    for number in tqdm(range(arguments.clips)):
        truth = Truth(number, tools)
        teacher = Teacher(network, truth.measures.inputs(network.config))
        generator, shape = torch.Generator().manual_seed(number), truth.measures.truth.shape
        noises = [torch.randn(shape, generator=generator) for _ in range(arguments.samples)]
        found.setdefault(CODEC, []).append(truth.figures([truth.measures.truth]))
        for scale in arguments.scales:
            results = [sample_euler(teacher.guided(scale), grid[0] * noise, grid) for noise in noises]
            found.setdefault(f"{scale:g}", []).append(truth.figures(results))
    rows = [(name, *map(interval, zip(*clips))) for name, clips in found.items()]
    print(f"{arguments.clips} clips, {arguments.steps} steps, samples of each: {arguments.samples}\n")
    print(table(("guidance", *NAMES), rows))
    if arguments.out:
        arguments.out.write_text(json.dumps({"names": NAMES, "figures": found}, indent=1))


if __name__ == "__main__":
    main()
