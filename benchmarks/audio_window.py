"""wav2vec2 features of long recordings: memory and time with full and with windowed attention, and the windows' error.

    python -m benchmarks.audio_window --minutes 1 5 10 --windows 8 30

The encoder has the published size (base-960h) and random weights, on which memory and time do not depend, but the
error does. Each figure of memory is the peak of a process of its own. Features go piece by piece to a consumer that
drops them, as a caller of ``Wav2Vec2.stream`` can. The error is measured on 60 s of speech, as root mean square of the
change relative to the features' spread: with the weights as they are drawn (a row attends to the whole recording), and
with queries and keys scaled up (it attends to fewer rows; the heading says to how many).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from lipforcing.audio.wav2vec2 import Attention, Wav2Vec2, Wav2Vec2Config
from lipforcing.media import AudioSource
from lipforcing.stream.meter import peak_memory

from .common import ROOT, hardware, measured, table

RATE = 16_000
SPEECH = ROOT / "tests" / "data" / "unseen_speech.safetensors"
ERROR_SECONDS = 60


def encoder(window: float | None, sharpness: float = 1.0) -> Wav2Vec2:
    """The published size with random weights; ``sharpness`` scales queries and keys."""
    torch.manual_seed(0)
    model = Wav2Vec2(Wav2Vec2Config.base_960h(), window).eval().requires_grad_(False)
    for layer in model.encoder.layers:
        for projection in (layer.attention.q_proj, layer.attention.k_proj):
            projection.weight.mul_(math.sqrt(sharpness))
    return model


def speech(seconds: float, file: Path | None = None) -> torch.Tensor:
    """Mono [samples] at 16 kHz, the recording repeated or cut to length."""
    waveform = AudioSource(file).mono16k() if file else load_file(SPEECH)["waveform"].flatten().float() / 32767
    samples = round(seconds * RATE)
    return waveform.repeat(-(-samples // len(waveform)))[:samples]


def encode_once(minutes: float, window: float | None) -> dict:
    """Encode in this process: CPU seconds, and its peak memory before and after in bytes."""
    model, waveform = encoder(window), speech(60 * minutes)
    start, began = peak_memory(), time.process_time()
    rows = sum(len(piece) for piece in model.stream(waveform, round(1500 * minutes)))
    return {"rows": rows, "start": start, "peak": peak_memory(), "seconds": time.process_time() - began}


def error(window: float, sharpness: float, file: Path | None) -> float:
    """Root mean square of the change that a window brings, relative to the spread of the features."""
    waveform, frames = speech(ERROR_SECONDS, file), 25 * ERROR_SECONDS
    model = encoder(None, sharpness)
    full = model(waveform, frames)
    model.window_seconds = window
    return ((model(waveform, frames) - full).square().mean().sqrt() / full.std()).item()


def attended(sharpness: float, file: Path | None) -> float:
    """To how many rows a row attends: exponential of the attention's entropy, median over rows, heads and layers."""
    found = []

    def look(attention: Attention, inputs: tuple[torch.Tensor]) -> None:
        projections = (attention.q_proj, attention.k_proj)
        q, k = (project(inputs[0]).unflatten(-1, (attention.heads, -1)).transpose(0, 1) for project in projections)
        weights = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1)
        found.append((weights * weights.clamp(min=1e-20).log()).sum(-1).neg().exp().median())

    model = encoder(None, sharpness)
    for layer in model.encoder.layers:
        layer.attention.register_forward_pre_hook(look)
    model(speech(ERROR_SECONDS, file), 25 * ERROR_SECONDS)
    return torch.stack(found).median().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 5, 10], help="may be none (default: 1 5 10)")
    parser.add_argument("--windows", type=float, nargs="+", default=[8, 30], help="in seconds (default: 8 30)")
    parser.add_argument("--sharpness", type=float, nargs="+", default=[1, 10, 40], help="default: 1 10 40")
    parser.add_argument("--speech", type=Path, help="recording for the error (default: that of the tests)")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--once", nargs=2, type=float, metavar=("MINUTES", "WINDOW"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        minutes, window = arguments.once
        print(json.dumps(encode_once(minutes, window or None)))
        return
    print(hardware())
    rows = []
    for minutes in arguments.minutes:
        for window in (0, *arguments.windows):
            found = measured("benchmarks.audio_window", ["--once", str(minutes), str(window)], arguments.threads)
            added = (found["peak"] - found["start"]) / 1e9
            name = f"{window:g} s" if window else "full"
            rows.append([f"{minutes:g} min", name, f"{found['peak'] / 1e9:.2f} GB", f"{added:.2f} GB"])
            rows[-1].append(f"{found['seconds']:.0f} s")
    if rows:
        print(table(["audio", "attention", "peak memory", "beyond model and waveform", "CPU time"], rows))
    torch.set_num_threads(arguments.threads)
    rows = [
        [f"{window:g} s", *(f"{error(window, sharpness, arguments.speech):.1%}" for sharpness in arguments.sharpness)]
        for window in arguments.windows
    ]
    heads = [f"error, queries and keys x {s:g}: {attended(s, arguments.speech):.0f} rows" for s in arguments.sharpness]
    print(table(["window", *heads], rows))


if __name__ == "__main__":
    main()
