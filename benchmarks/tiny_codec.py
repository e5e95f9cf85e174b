"""The tiny codec alone on drawn people that no recipe has trained on: what it costs, before any model.

    python -m benchmarks.tiny_codec [--weights FOLDER] [--clips 12]

People and speech of the first clips of ``tiny_student``, 45 frames of 128 x 128 each, through the codec and back. Over
all of a clip's pixels inside the mouth mask: PSNR, and the gradient energy as a share of the truth's; PSNR outside
(``mouth_figures``, as in the trainer's validation). Means over clips with 95 % intervals. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lipforcing.analysis.clips import drawn_clip
from lipforcing.analysis.measures import video
from lipforcing.codecs.base import VideoCodec, decode, encode
from lipforcing.distill.validation import levels, mouth_figures
from lipforcing.tiny import family

from .common import interval, table


@torch.inference_mode()
def figures(codec: VideoCodec, pictures: Tensor) -> dict[str, float]:
    """See ``mouth_figures``; of a clip uint8 [T, H, W, 3]."""
    return mouth_figures(levels(decode(codec, encode(codec, video(pictures)))[0]), pictures)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=family.WEIGHTS, help="folder with codec.safetensors")
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    codec = family.load("codec", folder=arguments.weights)
    found, seconds, frames = [], 0.0, 0
    for i in tqdm(range(arguments.clips)):
        pictures = drawn_clip(i).target
        began = time.perf_counter()
        found.append(figures(codec, pictures))
        seconds, frames = seconds + time.perf_counter() - began, frames + len(pictures)
    print(table(("figure", "mean (95 %)"), [(name, interval([one[name] for one in found])) for name in found[0]]))
    weights = sum(p.numel() for p in codec.parameters())
    print(f"\n{weights / 1e6:.2f} M weights; {1000 * seconds / frames:.1f} ms a frame, both ways, figures included")


if __name__ == "__main__":
    main()
