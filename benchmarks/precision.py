"""What converting the tiny student's weights does to sync and picture.

    python -m benchmarks.precision --dtypes bf16 fp16 fp8_e4m3fn

Every student, converted by ``lipforcing.checkpoints.convert``, dubs unseen drawn people with unseen utterances; all of
them compute in float32, so what differs is the weights alone. Sync is measured as in the tests (correlation of the
mouth opening with what the speech calls for; Sync-C, Sync-D and offset by the tiny SyncNet), the picture as PSNR and
SSIM on the mouth mask against the frames of the student as it is published (fp16).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from kornia.metrics import ssim
from safetensors.torch import load_file
from torch import Tensor

from lipforcing.checkpoints import convert
from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.faces.mask import pixel_mask
from lipforcing.pipeline import sync_crops
from lipforcing.stream.family import Family
from lipforcing.tiny import family
from lipforcing.tiny.measure import MouthFigures, measure

from .common import ROOT, hardware, table

SPEECH = ROOT / "tests" / "data" / "unseen_speech.safetensors"
SIZE = (family.CROP_SIZE, family.CROP_SIZE)
UNSEEN_PEOPLE = 55_000_000


@dataclass(frozen=True)
class Utterance:
    """A person with the mouth of one utterance, to be dubbed with another.

    Attributes:
        crops: [T, 3, S, S] in [-1, 1], T fills whole chunks.
        waveform: the other utterance, mono [samples] at 16 kHz.
        wanted: the mouth opening [T] that it calls for.
    """

    crops: Tensor
    waveform: Tensor
    wanted: Tensor


def utterances(count: int) -> list[Utterance]:
    """The first ``count`` of the unseen clips."""
    data = load_file(SPEECH)
    waveforms, mouths = data["waveform"].float() / 32767, data["mouth"]
    clips = []
    for i in range(count):
        pictures = render(Identity.sample(UNSEEN_PEOPLE + i), mouths[i], sample_head(UNSEEN_PEOPLE + i, 93), SIZE)
        j = (i + 1) % len(mouths)
        clips.append(Utterance(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1, waveforms[j], mouths[j, :, 0]))
    return clips


@torch.inference_mode()
def dub(tiny: Family, clip: Utterance) -> Tensor:
    """Generated crops uint8 [T, S, S, 3]."""
    faces, _ = sync_crops(tiny, clip.crops, clip.waveform, seed=1)
    return ((faces + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def psnr_on_mouth(pictures: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of uint8 [T, S, S, 3] on the mouth mask; infinite where they are equal."""
    mouth = pixel_mask(*SIZE)
    error = (pictures.float() - reference.float())[:, mouth].square().mean()
    return (10 * torch.log10(255**2 / error)).item()


def ssim_on_mouth(pictures: Tensor, reference: Tensor) -> float:
    """Mean structural similarity (11 x 11 windows) of uint8 [T, S, S, 3] on the mouth mask."""
    channels_first = [images.permute(0, 3, 1, 2).float() / 255 for images in (pictures, reference)]
    return ssim(*channels_first, window_size=11)[..., pixel_mask(*SIZE)].mean().item()


def figures(pictures: list[Tensor], clips: list[Utterance]) -> list[float]:
    """Means over clips of correlation, Sync-C, Sync-D and offset."""
    found: list[MouthFigures] = [measure(p, clip.waveform, clip.wanted) for p, clip in zip(pictures, clips)]
    scores = [one.sync.padded for one in found]
    values = (
        [one.correlation for one in found],
        [score.confidence for score in scores],
        [score.distance for score in scores],
        [float(score.offset) for score in scores],
    )
    return [sum(value) / len(value) for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtypes", nargs="+", default=["bf16", "fp8_e4m3fn"], help="default: bf16 fp8_e4m3fn")
    parser.add_argument("--clips", type=int, default=8, help="of the eight (default: 8)")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(hardware())
    clips = utterances(arguments.clips)
    student = family.weights_path("student")
    whole = [dub(family.tiny_family(), clip) for clip in clips]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for dtype in (None, *arguments.dtypes):
            path = convert(student, Path(folder) / "student.safetensors", dtype) if dtype else student
            pictures = [dub(family.tiny_family(student=path), clip) for clip in clips] if dtype else whole
            correlation, confidence, distance, offset = figures(pictures, clips)
            pairs = list(zip(pictures, whole))
            rows.append([dtype or "as published (fp16)", f"{path.stat().st_size / 1e6:.2f} MB", f"{correlation:.3f}"])
            rows[-1] += [f"{confidence:.2f}", f"{distance:.2f}", f"{offset:+.1f}"]
            rows[-1] += [
                f"{sum(metric(*pair) for pair in pairs) / len(pairs):.{digits}f}" if dtype else "-"
                for metric, digits in ((psnr_on_mouth, 1), (ssim_on_mouth, 4))
            ]
    head = ["weights", "file", "correlation", "Sync-C", "Sync-D", "offset", "PSNR on the mouth", "SSIM on the mouth"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
