"""Mouths at other frame rates than the model's 25: three ways, on drawn clips whose mouth openings are known.

    python -m benchmarks.frame_rates --speeches 2 --people 2

``ticks`` is what the pack does: the model runs on the source's own frames, with the sound of their own moments, and
frames between two ticks (at 50 and 60) get what lies between (``lipforcing/stream/ticks.py``). ``nearest`` generates at
25 and shows the frame that is nearest in time, ``blend`` generates at 25 and blends the two neighbours. The source's
mouth speaks another utterance. Openings are read off the pictures and compared with those of the speech at the frames'
own times, moved by -200 to 200 ms: where the correlation is highest is the lag, positive for a mouth that comes late. A
mouth is repeated where the true opening moves by more than 1 a second (of a range of 1) and the one read by less than a
tenth of that. Changes are the differences from frame to frame, compared at the best lag. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.drawn.speech import utterance
from lipforcing.faces.follow import FixedFollower
from lipforcing.media import Frame, ImagePicture
from lipforcing.session import LipSyncSession
from lipforcing.stream.family import Family
from lipforcing.stream.voice import Voice
from lipforcing.timeline import FPS, SAMPLE_RATE
from lipforcing.tiny import family

from .common import hardware, table

RATES = (24, 25, 30, 50, 60)
PEOPLE, SPEECH = 66_100_000, 78_100_000  # seeds; the recipes use people and speech below 50_000_000
SIZE = (family.CROP_SIZE, family.CROP_SIZE)
LAGS = np.arange(-0.2, 0.2001, 0.005)  # seconds
SETTLED = 0.5  # seconds at either end that are not measured
LATER = 0.08  # seconds by which the speech is moved in the check of the lag


def at(track: Tensor, seconds: np.ndarray) -> Tensor:
    """Rows of a track [T, D] at 25 a second, between its samples: [n, D]."""
    columns = [np.interp(seconds * FPS, np.arange(len(track)), column) for column in track.double().numpy().T]
    return torch.from_numpy(np.stack(columns, axis=1)).float()


def synced(model: Family, pictures: Tensor, rate: float, speech: Tensor, seed: int) -> Tensor:
    """Pictures uint8 [T, H, W, 3] that speak: uint8 [T, H, W, 3]."""
    voice = Voice(model.audio, model.student, model.text)
    voice.push(speech)
    voice.finish()
    done = []
    with LipSyncSession(model, FixedFollower(), [voice], seed=seed) as session:
        for number, picture in enumerate(pictures):
            done += session.push_frame(Frame(ImagePicture(picture), number / rate, number, number))
        done += session.finish()
    return torch.stack([output.picture.rgb() for output in done])


def nearest(pictures: Tensor, times: np.ndarray) -> Tensor:
    """Of pictures at 25 a second those nearest to some times."""
    return pictures[np.clip(np.round(times * FPS), 0, len(pictures) - 1).astype(int)]


def blended(pictures: Tensor, times: np.ndarray) -> Tensor:
    """Pictures at some times, blended from their neighbours among those at 25 a second."""
    place = np.clip(times * FPS, 0, len(pictures) - 1)
    before = place.astype(int)
    share = torch.from_numpy(place - before).float()[:, None, None, None]
    after = np.minimum(before + 1, len(pictures) - 1)
    return torch.lerp(pictures[before].float(), pictures[after].float(), share).round().byte()


@torch.inference_mode()
def opening(pictures: Tensor) -> np.ndarray:
    """Mouth opening [T] as the meter reads it."""
    meter = family.load("meter")
    parts = [meter(part.permute(0, 3, 1, 2).float() / 127.5 - 1)[:, 0] for part in pictures.split(64)]
    return torch.cat(parts).double().numpy()


def measured(read: np.ndarray, mouth: Tensor, times: np.ndarray) -> tuple[float, float, float, float, float]:
    """Correlation at lag 0 and at the best lag, that lag in ms, correlation of changes, share of repeated mouths."""
    take = (times > SETTLED) & (times < times[-1] - SETTLED)

    def true(lag: float) -> np.ndarray:
        return at(mouth, times - lag)[:, 0].double().numpy()

    def agreement(lag: float) -> float:
        return float(np.corrcoef(read[take], true(lag)[take])[0, 1])

    found = [agreement(lag) for lag in LAGS]
    best = int(np.argmax(found))
    a, b, c = found[best - 1 : best + 2]  # a parabola through the highest three
    lag = LAGS[best] + 0.5 * (a - c) / (a - 2 * b + c) * (LAGS[1] - LAGS[0])
    pairs = take[1:] & take[:-1]
    moves, truth = np.diff(read)[pairs], np.diff(true(lag))[pairs]
    moving = np.abs(truth) > np.diff(times)[pairs]
    repeated = float((np.abs(moves[moving]) < 0.1 * np.abs(truth[moving])).mean())
    return agreement(0.0), agreement(lag), 1e3 * lag, float(np.corrcoef(moves, truth)[0, 1]), repeated


def clip(model: Family, person: int, number: int, seconds: float) -> dict[tuple[int, str], tuple[float, ...]]:
    """What is measured of one person who says one thing, by rate and way."""
    speech, mouth = utterance(SPEECH + 10 * number, seconds)
    _, other = utterance(SPEECH + 10 * number + 5, seconds)
    who, pose = Identity.sample(PEOPLE + person), sample_head(PEOPLE + person, len(mouth))

    def drawn(times: np.ndarray) -> Tensor:
        return render(who, at(other, times), at(pose, times), SIZE)

    found: dict[tuple[int, str], tuple[float, ...]] = {}
    clock = np.arange(int(seconds * FPS)) / FPS
    generated = synced(model, drawn(clock), FPS, speech, number)
    moved = torch.cat((torch.zeros(round(LATER * SAMPLE_RATE)), speech))
    ways: dict[str, Callable[[np.ndarray], Tensor]] = {
        "nearest": lambda times: nearest(generated, times),
        "blend": lambda times: blended(generated, times),
    }
    for rate in RATES:
        times = np.arange(int(seconds * rate)) / rate
        source = drawn(times)
        found[rate, "ticks"] = measured(opening(synced(model, source, rate, speech, number)), mouth, times)
        found[rate, "later"] = measured(opening(synced(model, source, rate, moved, number)), mouth, times)
        found[rate, "source"] = measured(opening(render(who, at(mouth, times), at(pose, times), SIZE)), mouth, times)
        for way, pictures in ways.items():
            found[rate, way] = measured(opening(pictures(times)), mouth, times)
    return found


def spread(values: list[float], form: str = ".2f") -> str:
    """Mean, and the range."""
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speeches", type=int, default=2)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began, model = time.monotonic(), family.tiny_family("cpu")
    pairs = [(person, number) for person in range(arguments.people) for number in range(arguments.speeches)]
    clips = [clip(model, person, number, arguments.seconds) for person, number in tqdm(pairs)]
    print(f"{hardware()}; {len(clips)} clips of {arguments.seconds:g} s; {time.monotonic() - began:.0f} s")
    rows = []
    for rate in RATES:
        later = [one[rate, "later"][2] - one[rate, "ticks"][2] for one in clips]
        for way in ("ticks", "nearest", "blend", "source"):
            columns = [list(column) for column in zip(*(one[rate, way] for one in clips))]
            zero, best, lag, changes, repeated = columns
            rows.append(
                [rate, way, spread(zero), spread(best), spread(lag, ".0f"), spread(changes), spread(repeated, ".0%")]
            )
            rows[-1].append(spread(later, ".0f") if way == "ticks" else "")
    head = ["frames/s", "way", "correlation", "at the best lag", "lag, ms", "of changes", "repeated mouths"]
    print(table([*head, f"speech {1e3 * LATER:.0f} ms later, ms"], rows))


if __name__ == "__main__":
    main()
