"""How sharp the tests are: puts mistakes into a copy of the code, one by one, and runs the tests that should see them.

    python -m tools.mutations [WORD ...]

prints the table of docs/reference.md, How sharp the tests are, for the mistakes whose description has one of the words.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
NETWORK = "models/test_transformer.py models/test_window.py sampling/test_causal.py"

# Three lines each: what is wrong | where in the engine | tests that should see it; what stands there; what comes there.
MISTAKES = r"""
absolute instead of window-local rotary positions | models/window.py | network
return range(self.past.frames, self.past.frames + self.frames)
return range(2 * self.past.frames, 2 * self.past.frames + self.frames)

no sink frame | models/window.py | network
SINK_FRAMES * self.geometry.tokens\n
0\n

window of 10 instead of 7 latent frames | models/window.py | network
SLOTS = SINK_FRAMES + CHUNK_LATENTS
SLOTS = SINK_FRAMES + 2 * CHUNK_LATENTS

mask polarity flipped, network | models/conditioning.py | network
mouth_mask.expand(frames), masked
1 - mouth_mask.expand(frames), masked

mask polarity flipped, stages | stream/stages.py | stream/test_stages.py
self._mask = latent_mask(edge, edge)
self._mask = (~latent_mask(edge, edge))

mask polarity flipped, pixels | stream/stages.py | stream/test_stages.py
both[1].masked_fill_(pixel_mask(
both[1].masked_fill_(~pixel_mask(

audio shifted by one video frame, network | models/transformer.py | network
return self.audio_proj(features)
return self.audio_proj(features.roll(1, 1))

audio shifted by one video frame, voice | stream/voice.py | stream/test_stages.py stream/test_voice.py
* FPS + MIDDLE, 0)
* FPS + MIDDLE + 1, 0)

sines before cosines in the timestep embedding | models/timestep.py | network
(angles.cos(), angles.sin())
(angles.sin(), angles.cos())

`masked_video` and `ref_sequence` swapped, network | models/conditioning.py | network
masked_video, ref_sequence), dim=1)
ref_sequence, masked_video), dim=1)

`masked_video` and `ref_sequence` swapped, stages | stream/stages.py | stream/test_stages.py
sequence, masked = run.encoder
masked, sequence = run.encoder

reference latent of every chunk instead of the first | stream/stages.py | stream/test_stages.py
sequence[:, :, :1] if run.reference is None else run.reference
sequence[:, :, :1]

zero-padded text positions left out | models/transformer.py | network
        if padding:\n
        if False:\n

exact instead of tanh GELU, feed-forward | models/blocks.py | network
nn.GELU(approximate="tanh")
nn.GELU()

exact instead of tanh GELU, text embedding | models/transformer.py | network
nn.GELU(approximate="tanh")
nn.GELU()

RMSNorm epsilon 1e-5 | models/blocks.py | network
RMSNorm(config.dim, eps=config.eps
RMSNorm(config.dim, eps=1e-5

RMSNorm epsilon 1e-5, default of the sizes | models/config.py | checkpoints/test_configs.py models/test_config.py
eps: float = 1e-6
eps: float = 1e-5

audio LayerNorm epsilon 1e-6 | models/blocks.py | network
LayerNorm(config.audio_hidden, **factory)
LayerNorm(config.audio_hidden, eps=1e-6, **factory)

decoder's file ignored | stream/family.py | stream/test_family.py
if decoder else vae
if False else vae

VAE: mean not subtracted | codecs/wan_vae.py | codecs/test_wan_vae.py
latent_channels] - mean) / std
latent_channels]) / std

VAE: second half of the moments | codecs/wan_vae.py | codecs/test_wan_vae.py
moments[:, : self.vae.latent_channels]
moments[:, self.vae.latent_channels :]

VAE: latents not denormalised before decoding | codecs/wan_vae.py | codecs/test_wan_vae.py
self.vae.conv2(latents * std + mean)
self.vae.conv2(latents)

VAE: caches forgotten between calls | codecs/wan_vae.py | codecs/test_wan_vae.py
        frames = self.vae.decoder(
        self.cache = TemporalCache()\n        frames = self.vae.decoder(

VAE: bilinear instead of nearest enlargement | codecs/wan_vae.py | codecs/test_wan_vae.py
mode="nearest"
mode="bilinear"

TAEHV: latents not limited | codecs/taehv.py | codecs/test_taehv.py
return LATENT_LIMIT * torch.tanh(x / LATENT_LIMIT)
return x

TAEHV: three frames lost in every call | codecs/taehv.py | codecs/test_taehv.py
            self.started = True\n        x = F.pixel_sh
        x = F.pixel_sh

wav2vec2: odd instead of even rows | audio/wav2vec2.py | audio/test_wav2vec2.py
iter(samples.unfold(0
iter(F.pad(samples, (0, 320))[320:].unfold(0

wav2vec2: tanh GELU | audio/wav2vec2.py | audio/test_wav2vec2.py
F.gelu(self.intermediate_dense(rows))
F.gelu(self.intermediate_dense(rows), approximate="tanh")

wav2vec2: unbiased variance | audio/wav2vec2.py | audio/test_wav2vec2.py
torch.var_mean(waveform, correction=0)
torch.var_mean(waveform)

wav2vec2: last state at the end instead of the start | audio/wav2vec2.py | audio/test_wav2vec2.py
return states.flatten(1)
return states.roll(-1, 1).flatten(1)

wav2vec2: epsilon 1e-6 by default | audio/wav2vec2.py | audio/test_wav2vec2.py
eps: float = 1e-5
eps: float = 1e-6

SyncNet: mean instead of median | syncnet/report.py | syncnet/test_score.py audio/test_mfcc.py
confidence = mean_distances.median()
confidence = mean_distances.mean()

cepstra: samples in [-1, 1] | audio/mfcc.py | syncnet/test_score.py audio/test_mfcc.py
signal = samples.to(torch.float64)
signal = samples.to(torch.float64) / 32768

cepstra: no lifter | audio/mfcc.py | syncnet/test_score.py audio/test_mfcc.py
cepstra = cepstra * lift.to(power.device)
cepstra = cepstra * 1

cepstra: Hamming window | audio/mfcc.py | syncnet/test_score.py audio/test_mfcc.py
signal.unfold(0, window, hop), fft
signal.unfold(0, window, hop) * torch.hamming_window(window, False), fft

LoRA: ratio 1 instead of alpha / rank | checkpoints/lora.py | checkpoints/test_lora.py
return alpha / rank
return 1.0

LoRA: adapter rounded to bfloat16 | checkpoints/lora.py | checkpoints/test_lora.py
(up @ down)
(up @ down).bfloat16()

schedule: shift 3 | sampling/schedules.py | sampling/test_schedules.py
SHIFT = 5.0
SHIFT = 3.0

schedule: window without its ends | sampling/schedules.py | sampling/test_schedules.py
(t >= low) & (t <= high)
(t > low) & (t < high)

schedule: another two-step list | sampling/schedules.py | sampling/test_schedules.py
(0.999, 0.769, 0.0)
(0.999, 0.75, 0.0)

guidance: scale s instead of s - 1 | sampling/guidance.py | sampling/test_guidance.py models/test_transformer.py
(scale - 1) * (x0_pos
scale * (x0_pos
"""


@dataclass(frozen=True)
class Mistake:
    """``old`` becomes ``new`` in a module of the engine; ``tests`` should fail."""

    name: str
    module: str
    tests: list[str]
    old: str
    new: str

    @classmethod
    def of(cls, lines: str) -> Mistake:
        """From its three lines."""
        first, old, new = lines.split("\n")
        name, module, tests = first.split(" | ")
        files = [f"tests/{file}" for file in tests.replace("network", NETWORK).split()]
        return cls(name, module, files, old.replace(r"\n", "\n"), new.replace(r"\n", "\n"))

    def broken(self, code: str) -> str:
        """The module's text with the mistake in it."""
        if self.old not in code:
            sys.exit(f"{self.module} has no {self.old!r} any more, where {self.name!r} is made; write it anew")
        return code.replace(self.old, self.new)


def mistakes() -> list[Mistake]:
    """All of them."""
    return [Mistake.of(lines) for lines in MISTAKES.strip().split("\n\n")]


def main() -> None:
    """Print one row per mistake: which tests fail, and the first errors above their limits."""
    parser = argparse.ArgumentParser(prog="tools.mutations", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="of the mistakes to make (default: all)")
    words = parser.parse_args().words
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "pack"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        print("| mistake | tests that fail | error |\n|---|---|---|")
        for mistake in mistakes():
            if not words or any(word in mistake.name for word in words):
                print(f"| {mistake.name} | {' | '.join(tried(mistake, copy))} |", flush=True)


def tried(mistake: Mistake, copy: Path) -> tuple[str, str]:
    """Tests that fail, and the largest error that they report."""
    path = copy / "lipforcing" / mistake.module
    right = path.read_text(encoding="utf-8")
    path.write_text(mistake.broken(right), encoding="utf-8")
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *mistake.tests]
        environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        output = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True).stdout
    finally:
        path.write_text(right, encoding="utf-8")
    failed = Counter(re.findall(r"^(?:FAILED|ERROR) tests/\S*?(test_\w+)\.py", output, flags=re.MULTILINE))
    errors = re.findall(r"^E\s+AssertionError: .*?: (\S.*?): max abs error (\S+) > (\S+)", output, flags=re.MULTILINE)
    tests = ", ".join(f"{count} in `{name}`" for name, count in failed.items()) or "**none**"
    return tests, ", ".join(f"{what} {error} (limit {limit})" for what, error, limit in errors[:2])


if __name__ == "__main__":
    main()
