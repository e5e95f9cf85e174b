"""What pauses and lip strength do to the tiny student's mouth.

    python -m benchmarks.manner [--clips 6]

Drawn people, whose own mouths speak another text all the time, are dubbed with a speech that has a pause of two
seconds in the middle: of digital silence, of a quiet room, or of breath. Printed per kind of pause, and for ``pauses``
as model and as rest: mean opening in the pause and the share of its frames in which the mouth moves (the opening
differs from that of the frame before by more than ``MOVES``). Then, by lip strength: the opening's standard deviation
and its mean over those at strength 1, in speech, and the correlation with the opening that the speech calls for. Means
over clips, with their standard error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from lipforcing.audio.manner import Manner
from lipforcing.audio.resample import resample
from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.pipeline import sync_crops
from lipforcing.timeline import SAMPLE_RATE, SAMPLES_PER_FRAME
from lipforcing.tiny import family
from lipforcing.tiny.meter import correlation

from .common import hardware, table

SPEECH = Path(__file__).parents[1] / "tests" / "data" / "unseen_speech.safetensors"
PEOPLE = 66_500_000  # identities that no recipe has trained on
PAUSE = 50  # frames
INSIDE = slice(12, 46)  # frames of the pause that count: beyond fades, before the next word
MOVES = 0.03  # of the opening's range per frame
STRENGTHS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5)
LEVELS = {"silence": 0.0, "room": 0.002, "breath": 0.02}  # root mean square of full scale


def noise(kind: str, samples: int, seed: int) -> Tensor:
    """Pause noise: white for a room; breath comes from 400 to 4000 Hz and swells twice."""
    random = torch.Generator().manual_seed(seed)
    if kind != "breath":
        return LEVELS[kind] * torch.randn(samples, generator=random)
    low = resample(torch.randn(1, samples // 2 + 1, generator=random), SAMPLE_RATE // 2, SAMPLE_RATE)[0, :samples]
    swell = torch.sin(2 * torch.pi * torch.arange(samples) / samples).abs()
    return LEVELS[kind] * swell * low / low.std()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=6)
    clips = parser.parse_args().clips
    print(hardware())
    tiny, meter, data = family.tiny_family(), family.load("meter"), load_file(SPEECH)
    frames = data["mouth"].shape[1]
    half = frames // 2

    @torch.inference_mode()
    def opening(clip: int, waveform: Tensor, manner: Manner, length: int) -> Tensor:
        """Of the dubbed face, [length]."""
        who = PEOPLE + clip
        mouth = data["mouth"][(clip + 1) % len(data["mouth"])]
        mouth = mouth[torch.arange(length) % frames]
        pictures = render(Identity.sample(who), mouth, sample_head(who, length), (family.CROP_SIZE, family.CROP_SIZE))
        faces, _ = sync_crops(tiny, pictures.permute(0, 3, 1, 2).float() / 127.5 - 1, waveform, clip, manner)
        return meter(faces)[:, 0]

    def paused(clip: int, kind: str) -> Tensor:
        said = data["waveform"][clip].float() / 32767
        middle = half * SAMPLES_PER_FRAME
        return torch.cat((said[:middle], noise(kind, PAUSE * SAMPLES_PER_FRAME, clip), said[middle:]))

    rows = []
    for kind in LEVELS:
        for pauses in ("model", "rest"):
            found = []
            for clip in range(clips):
                track = opening(clip, paused(clip, kind), Manner(pauses), frames + PAUSE)[half : half + PAUSE][INSIDE]
                found.append(torch.stack((track.mean(), (track.diff().abs() > MOVES).float().mean())))
            rows.append([kind, pauses, *_cells(torch.stack(found))])
    truth = (data["mouth"][:clips, :, 0].diff(dim=1).abs() > MOVES).float().mean()
    print(table(["pause", "mouth", "mean opening", "share of frames that move"], rows))
    print(f"share of frames in which the drawn truth moves in speech: {float(truth):.2f}")
    rows, plain = [], []
    for strength in sorted(STRENGTHS, key=lambda strength: strength != 1):
        found = []
        for clip in range(clips):
            said = data["waveform"][clip].float() / 32767
            track, wanted = opening(clip, said, Manner(strength=strength), frames), data["mouth"][clip, :, 0]
            if strength == 1:
                plain.append(track)
            base = plain[clip]
            agreement = torch.tensor(correlation(track, wanted)) if strength else torch.tensor(0.0)
            found.append(torch.stack((track.std() / base.std(), track.mean() / base.mean(), agreement)))
        rows.append([f"{strength:g}", *_cells(torch.stack(found))])
    rows.sort(key=lambda row: float(row[0]))
    print(table(["strength", "deviation / at 1", "mean opening / at 1", "correlation"], rows))


def _cells(values: Tensor) -> list[str]:
    """Mean and standard error of each column [clips, n]."""
    error = values.std(0) / len(values) ** 0.5
    return [f"{float(m):.3f} ± {float(e):.3f}" for m, e in zip(values.mean(0), error)]


if __name__ == "__main__":
    main()
