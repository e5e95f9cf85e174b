"""The tiny codec alone on drawn people that no recipe has trained on: what it costs, before any model.

    python -m benchmarks.tiny_codec [--weights FOLDER] [--clips 12]

People and speech of the first clips of ``tiny_student``, 45 frames of 128 x 128 each, through the codec and back. Over
all of a clip's pixels inside the mouth mask: PSNR, and the gradient energy (see ``lipforcing.evaluation.sharpness``) as
a share of the truth's; PSNR outside. Means over clips with 95 % intervals. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lipforcing.analysis.clips import drawn_clip
from lipforcing.analysis.measures import levels, video
from lipforcing.codecs.base import VideoCodec, decode, encode
from lipforcing.evaluation.sharpness import gradient_energy
from lipforcing.faces.mask import pixel_mask
from lipforcing.tiny import family

from .common import interval, table

GREY = torch.tensor((0.299, 0.587, 0.114))
NAMES = ("PSNR, mouth, dB", "gradient energy, mouth, share", "PSNR, outside, dB")


def psnr(result: Tensor, truth: Tensor) -> float:
    """dB, of 8-bit levels."""
    return (-10 * torch.log10((result - truth).square().mean() / 255**2)).item()


@torch.inference_mode()
def figures(codec: VideoCodec, pictures: Tensor) -> tuple[float, float, float]:
    """``NAMES`` of a clip uint8 [T, H, W, 3]."""
    mask = pixel_mask(*pictures.shape[1:3]).bool()
    result = levels(decode(codec, encode(codec, video(pictures)))[0].transpose(0, 1)).float()
    truth = pictures.float()
    ours, theirs = (
        sum(gradient_energy(grey)[mask].sum().item() for grey in (shown * GREY).sum(-1)) for shown in (result, truth)
    )
    return psnr(result[:, mask], truth[:, mask]), ours / theirs, psnr(result[:, ~mask], truth[:, ~mask])


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
    print(table(("figure", "mean (95 %)"), [(name, interval(column)) for name, column in zip(NAMES, zip(*found))]))
    weights = sum(p.numel() for p in codec.parameters())
    print(f"\n{weights / 1e6:.2f} M weights; {1000 * seconds / frames:.1f} ms a frame, both ways, figures included")


if __name__ == "__main__":
    main()
