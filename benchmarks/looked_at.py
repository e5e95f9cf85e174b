"""Clips that are awkward on purpose, synced with the tiny model and put on a sheet to be looked at.

    python -m benchmarks.looked_at --sheet docs/images/footage.jpg

Made from the bundled samples: ``late``, in which the face comes after two seconds; ``cuts``, at 50 frames per second,
between two people and at odd and even frames; ``thirty``, at 30 frames per second. Results are lossless, so that frames
can be compared bit for bit: those without a face with the source's, those before a cut with those of a clip in which
something else follows. The face of ``late`` is found, the others are face crops (``--face full``). On the sheet every
frame stands above the source's own.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from lipforcing.faces.selection import FaceChoice, follower_for
from lipforcing.media import AudioSource, DurationPolicy, VideoReader, VideoWriter
from lipforcing.pipeline import SyncOptions, sync_file
from lipforcing.tiny.family import SAMPLES, tiny_family

SHOTS = (31, 44, 51, 38)  # frames: cuts at 31, 75 and 126
EDGE = 96  # pixels, width of a picture on the sheet


def pictures(path: Path) -> Tensor:
    """uint8 [T, H, W, 3]."""
    with VideoReader(path) as video:
        return torch.stack([frame.image for frame in video.frames()])


def ground(like: Tensor) -> Tensor:
    """A picture [H, W, 3] without a face: soft stripes."""
    height, width, _ = like.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = torch.stack([120 + 50 * torch.sin(x / (40 + 9 * k) + y / (90 - 12 * k) + k) for k in range(3)], dim=-1)
    return waves.round().byte()


def clips() -> dict[str, tuple[int, Tensor]]:
    """Frame rate and pictures of every clip."""
    ada, ben = pictures(SAMPLES / "ada.mp4"), pictures(SAMPLES / "ben.mp4")
    late = torch.cat((ground(ada[0]).expand(50, -1, -1, -1), ada[:75]))
    twice = [who.repeat_interleave(2, dim=0) for who in (ada, ben)]
    starts = [sum(SHOTS[:n]) for n in range(len(SHOTS))]
    cuts = torch.cat([twice[n % 2][start : start + length] for n, (start, length) in enumerate(zip(starts, SHOTS))])
    return {"late": (25, late), "cuts": (50, cuts), "thirty": (30, ada[:120])}


def synced(shown: Tensor, rate: int, face: FaceChoice, folder: Path) -> tuple[Tensor, Tensor, str]:
    """Source and result as they are decoded, and what the run says of itself."""
    source, out = folder / "source.mkv", folder / "out.mkv"
    with VideoWriter(source, shown.shape[2], shown.shape[1], Fraction(rate), lossless=True) as writer:
        for number, picture in enumerate(shown):
            writer.write(picture, number / rate)
    options = SyncOptions(lossless=True, duration=DurationPolicy("video"))
    with VideoReader(source) as video:
        speech = AudioSource(SAMPLES / "market.wav")
        family = tiny_family("cpu")
        said = sync_file(family, video, speech, out, follower_for(face, layout=family.layout), options)
    return pictures(source), pictures(out), said.description


def touched(source: Tensor, result: Tensor) -> Tensor:
    """Whether a frame differs from the source's [T]."""
    return (source != result).flatten(1).any(1)


def strip(source: Tensor, result: Tensor, numbers: list[int], top: int = 0) -> Tensor:
    """Frames in a row above the source's, uint8 [H, W, 3], without the ``top`` rows."""
    rows = [torch.cat([which[number][top:] for number in numbers], dim=1) for which in (result, source)]
    return torch.cat(rows)


def sheet(strips: list[Tensor], path: Path) -> None:
    """One below the other, with a line between."""
    width = EDGE * 8
    images = [Image.fromarray(one.numpy()) for one in strips]
    images = [image.resize((width, round(image.height * width / image.width)), Image.LANCZOS) for image in images]
    whole = Image.new("RGB", (width, sum(image.height + 6 for image in images) - 6), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height + 6
    whole.save(path, quality=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, default=Path("footage.jpg"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    strips = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for clip, (rate, shown) in clips().items():
            face: FaceChoice = "auto" if clip == "late" else "full"
            source, result, said = synced(shown, rate, face, folder)
            changed = touched(source, result)
            print(f"{clip}: {said} First frame with a new mouth: {int(changed.nonzero()[0])}.")
            if clip == "late":
                strips.append(strip(source, result, [48, 49, 50, 51, 52, 53, 62, 80]))
            elif clip == "cuts":
                print(f"  frames without a new mouth: {(~changed).nonzero().flatten().tolist()}")
                for cut in torch.tensor(SHOTS).cumsum(0)[:-1].tolist():
                    other = torch.cat((shown[:cut], ground(shown[0]).expand(len(shown) - cut, -1, -1, -1)))
                    _, alone, _ = synced(other, rate, face, folder)
                    differ = int(touched(alone[:cut], result[:cut]).sum())
                    print(f"  cut at {cut}: {differ} frames before it differ where something else follows")
                strips.append(strip(source, result, [29, 30, 31, 32, 73, 74, 75, 76]))
            else:
                half = result.shape[1] // 2
                moves = (result[1:, half:].float() - result[:-1, half:].float()).abs().mean((1, 2, 3))
                print(f"  frames whose lower half is the one before's: {int((moves < 0.05).sum())} of {len(moves)}")
                strips.append(strip(source, result, list(range(40, 48)), half))
    sheet(strips, arguments.sheet)


if __name__ == "__main__":
    main()
