"""wav2vec2's two modes: memory and time of whole and windowed encoding, and how far the rows of the two are apart.

    python -m benchmarks.audio_window --minutes 1 5 10

A mode is "whole" or a window BEFORE,STEP,AFTER in rows (25 a second). Memory and time are those of the published size
(base-960h), on whose weights they do not depend. Memory is the peak of a process of its own, which pushes ten seconds
at a time and drops the rows it gets, and what encoding adds to it. The difference is the root mean square of windowed
minus whole rows relative to the spread of the whole ones, with random weights in a narrower network of as many layers:
as they are drawn, and with queries and keys scaled up so that a row attends to fewer others (the heading says to how
many).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from lipforcing.audio.base import LIVE, LONG, Window, encode_audio
from lipforcing.audio.wav2vec2 import Attention, Wav2Vec2, Wav2Vec2Config
from lipforcing.audio.wav2vec2_encoder import Wav2Vec2Encoder
from lipforcing.media import AudioSource
from lipforcing.stream.meter import peak_memory
from lipforcing.timeline import FPS, SAMPLE_RATE

from .common import ROOT, hardware, measured, table

SPEECH = ROOT / "tests" / "data" / "unseen_speech.safetensors"
NARROW = Wav2Vec2Config(width=192, layers=12, heads=12, feed_forward=768, conv_channels=(128,) * 7)


def window(text: str) -> Window | None:
    return None if text == "whole" else Window(*map(int, text.split(",")))


def written(window: Window) -> str:
    return f"{window.before},{window.step},{window.after}"


def network(config: Wav2Vec2Config, sharpness: float = 1.0) -> Wav2Vec2:
    """Normally distributed weights that keep the spread of what they are given; ``sharpness`` scales the attention's
    scores."""
    torch.manual_seed(0)
    model = Wav2Vec2(config).eval().requires_grad_(False)
    for weight in model.parameters():
        if weight.ndim > 1:
            weight.normal_(std=weight[0].numel() ** -0.5)
    for layer in model.encoder.layers:
        for projection in (layer.attention.q_proj, layer.attention.k_proj):
            projection.weight.mul_(math.sqrt(sharpness))
    return model


def speech(seconds: float, file: Path | None = None) -> torch.Tensor:
    """Mono [samples] at 16 kHz, the recording repeated or cut to length."""
    waveform = AudioSource(file).mono16k() if file else load_file(SPEECH)["waveform"].flatten().float() / 32767
    samples = round(seconds * SAMPLE_RATE)
    return waveform.repeat(-(-samples // len(waveform)))[:samples]


def encode_once(minutes: float, mode: str) -> dict:
    """Encode in this process: CPU seconds, and its peak memory before and after in bytes."""
    encoder = Wav2Vec2Encoder(network(Wav2Vec2Config.base_960h()), window(mode))
    waveform = speech(60 * minutes)
    start, began, stream = peak_memory(), time.process_time(), encoder.stream()
    rows = sum(len(stream.push(piece)) for piece in waveform.split(10 * SAMPLE_RATE)) + len(stream.finish())
    return {"rows": rows, "start": start, "peak": peak_memory(), "seconds": time.process_time() - began}


def attended(model: Wav2Vec2, waveform: torch.Tensor) -> float:
    """To how many rows a row attends: exponential of the attention's entropy, median over rows, heads and layers."""
    found = []

    def look(attention: Attention, inputs: tuple[torch.Tensor]) -> None:
        projections = (attention.q_proj, attention.k_proj)
        q, k = (project(inputs[0]).unflatten(-1, (attention.heads, -1)).transpose(0, 1) for project in projections)
        weights = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1)
        found.append((weights * weights.clamp(min=1e-20).log()).sum(-1).neg().exp().median())

    hooks = [layer.attention.register_forward_pre_hook(look) for layer in model.encoder.layers]
    encode_audio(Wav2Vec2Encoder(model), waveform)
    for hook in hooks:
        hook.remove()
    return torch.stack(found).median().item()


def differences(model: Wav2Vec2, windows: list[Window], waveform: torch.Tensor) -> list[str]:
    """Per window the difference to whole encoding in the first second and after it."""
    whole, found = encode_audio(Wav2Vec2Encoder(model), waveform), []
    for window in windows:
        error = (encode_audio(Wav2Vec2Encoder(model, window), waveform) - whole).square().mean(1)
        parts = [(part.mean() / whole.var()).sqrt().item() for part in error.split([FPS, len(error) - FPS])]
        found.append("{:.0%}, {:.0%}".format(*parts))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 5, 10], help="may be none (default: 1 5 10)")
    parser.add_argument("--modes", nargs="+", default=["whole", written(LONG)], help="measured at these lengths")
    windows = [written(LIVE), "250,3,3", "250,3,25", "250,3,63", "125,3,12", "50,3,12", written(LONG)]
    parser.add_argument("--windows", nargs="*", default=windows, help="compared with whole; may be none")
    parser.add_argument("--sharpness", type=float, nargs="+", default=[1, 4], help="default: 1 4")
    parser.add_argument("--seconds", type=float, default=30, help="of speech to compare on (default: 30)")
    parser.add_argument("--speech", type=Path, help="recording to compare on (default: that of the tests)")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--once", nargs=2, metavar=("MINUTES", "MODE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.once:
        minutes, mode = arguments.once
        print(json.dumps(encode_once(float(minutes), mode)))
        return
    print(hardware())
    rows = []
    for minutes in arguments.minutes:
        for mode in arguments.modes:
            found = measured("benchmarks.audio_window", ["--once", str(minutes), mode], arguments.threads)
            added = (found["peak"] - found["start"]) / 1e9
            rows.append([f"{minutes:g} min", mode, f"{found['peak'] / 1e9:.2f} GB", f"{added:.2f} GB"])
            rows[-1].append(f"{found['seconds']:.0f} s")
    if rows:
        print(table(["audio", "mode", "peak memory", "beyond model and waveform", "CPU time"], rows))
    if not arguments.windows:
        return
    waveform, heads, columns = speech(arguments.seconds, arguments.speech), ["window"], [arguments.windows]
    for sharpness in arguments.sharpness:
        model = network(NARROW, sharpness)
        heads.append(f"first second, later; a row attends to {attended(model, waveform):.0f}")
        columns.append(differences(model, [window(text) for text in arguments.windows], waveform))
    print(table(heads, zip(*columns)))


if __name__ == "__main__":
    main()
