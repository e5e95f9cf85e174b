"""How fast a family of models is, stage by stage, without any video: random pictures and speech, real shapes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..codecs.base import extended
from ..codecs.taehv import TAEHV, taew2_1
from ..codecs.tiny import TinyCodec
from ..codecs.wan_vae import WanVAE
from ..models import Conditioning, Merged, Past, Rolling, WanConfig, WanTransformer
from ..models.conditioning import join, planes
from ..models.config import PRESETS
from ..models.window import WINDOW_FRAMES
from ..sampling.causal import CausalStream, NetworkStudent, denoise_chunk
from ..sampling.flow import forward_process, velocity_to_x0
from ..sampling.noise import NoiseKey
from ..sampling.schedules import TWO_STEP
from ..timeline import CHUNK_LATENTS, chunk_frames_span
from .family import RELEASED_CROP_SIZE, Family, taehv_dtype
from .meter import Meter, StageTimes, peak_memory

SPATIAL, LATENT = 8, 16
WARM_UP = 3  # chunks: after them every shape has occurred
PROMPT_TOKENS = 6  # of "a person talking", with its end


@dataclass(frozen=True)
class BenchResult:
    """What was measured; times are of chunks in the steady state.

    Attributes:
        stages: seconds of every stage per chunk.
        chunk: seconds of whole chunks.
        first_frame: seconds from the first frames to the first decoded ones, everything warm.
        peak: bytes, as ``peak_memory`` counts them; None where the system does not tell.
        flops: floating-point operations of the transformer per chunk, counted, not measured.
        ceiling: operations per second of a large matrix product in the same dtype on the same device.
    """

    stages: dict[str, StageTimes]
    chunk: StageTimes
    first_frame: float
    peak: int | None
    flops: float
    ceiling: float

    @property
    def fps(self) -> float:
        """Frames per second at the median chunk."""
        return 12 / self.chunk.median

    @property
    def utilisation(self) -> float:
        """Share of the ceiling that the transformer reaches while it runs."""
        seconds = sum(self.stages[name].median for name in ("denoise", "cache write") if name in self.stages)
        return self.flops / seconds / self.ceiling

    def as_dict(self) -> dict:
        """Everything, for JSON; times in milliseconds."""

        def times(stage: StageTimes) -> dict:
            low, high = stage.spread
            return {"median_ms": 1e3 * stage.median, "min_ms": 1e3 * low, "max_ms": 1e3 * high}

        return {
            "frames_per_second": self.fps,
            "first_frame_ms": 1e3 * self.first_frame,
            "chunk": times(self.chunk),
            "stages": {name: times(stage) for name, stage in self.stages.items()},
            "peak_bytes": self.peak,
            "transformer_flops_per_chunk": self.flops,
            "ceiling_flops": self.ceiling,
            "utilisation": self.utilisation,
        }


def random_family(preset: str, device: torch.device, dtype: torch.dtype) -> Family:
    """Untrained models of a preset's sizes, made on the device: tiny, wan_1_3b or wan_14b."""
    place = {"device": device, "dtype": dtype}
    config = PRESETS[preset]()
    network = WanTransformer(config, **place)
    if preset == "tiny":
        codec = decoder = TinyCodec(**place)
        text, crop_size = torch.zeros(1, config.text_len, config.text_dim, **place), 128
    else:
        codec, decoder = WanVAE(**place), TAEHV(taew2_1(), device=device, dtype=taehv_dtype(device, dtype))
        text, crop_size = torch.randn(1, PROMPT_TOKENS, config.text_dim, **place), RELEASED_CROP_SIZE
    for module in {network, codec, decoder}:
        module.eval().requires_grad_(False)
    return Family(NetworkStudent(network), codec, decoder, None, text, crop_size)


class BenchRun:
    """One run over random crops: every stage as the pipeline does it, each under its name."""

    def __init__(self, family: Family, meter: Meter, merged: bool) -> None:
        self.family, self.meter, self.merged = family, meter, merged
        self.like = family.text.new_zeros(1, LATENT, 1, family.crop_size // SPATIAL, family.crop_size // SPATIAL)
        self.mask = (torch.rand_like(self.like[:, :1]) > 0.5).to(self.like)
        self.encoder, self.decoder = family.codec.encode_stream(), family.decoder.decode_stream()
        self.text = family.student.embed_text(family.text)
        self.stream = CausalStream(family.student, self.like)
        self.reference: Tensor | None = None
        self.previous: tuple[Tensor, Conditioning] | None = None

    def chunk(self, number: int) -> None:
        """Everything that is done for one chunk; the cache write of the one before comes first."""
        start, end = chunk_frames_span(number)
        size, meter = self.family.crop_size, self.meter
        video = self.like.new_empty(2, 3, end - start, size, size).uniform_(-1, 1)
        if number == 0:
            video = extended(video, self.family.codec.look_ahead)
        rows = self.like.new_empty(1, end - start, self.family.student.config.audio_dim).normal_()
        noise = NoiseKey(0).draws(number, len(TWO_STEP) - 1, (1, LATENT, CHUNK_LATENTS, *self.like.shape[-2:]))
        with meter.stage("encode"):
            sequence, masked = self.encoder(video).split(1)
        with meter.stage("condition"):
            self.reference = sequence[:, :, :1] if self.reference is None else self.reference
            audio = self.family.student.embed_audio(rows)
            chunk = Conditioning(planes(self.reference, self.mask, masked, sequence), audio, self.text)
        noise = noise.to(self.like)
        x0 = self._merged_steps(chunk, noise) if self.merged else self._steps(chunk, noise)
        with meter.stage("decode"):
            self.decoder(x0)
        self.previous = x0, chunk

    def _steps(self, chunk: Conditioning, noise: Tensor) -> Tensor:
        if self.previous is not None:
            with self.meter.stage("cache write"):
                self.stream.cache_write(*self.previous)
        with self.meter.stage("denoise"):
            return denoise_chunk(lambda x, sigma: self.stream(x, sigma, chunk), noise)

    def _merged_steps(self, chunk: Conditioning, noise: Tensor) -> Tensor:
        """Two calls of the network instead of three."""
        network, stream = self.family.student.network, self.stream
        high, low, _ = TWO_STEP
        with self.meter.stage("denoise"):
            if self.previous is None:
                v = network.forward_chunk(noise[0], stream.times[high], chunk, Rolling(stream.geometry, Past()))
            else:
                x0, before = self.previous
                time = stream.times[0.0].repeated(CHUNK_LATENTS).then(stream.times[high].repeated(CHUNK_LATENTS))
                window = Merged(Rolling(stream.geometry, stream.past))
                v, stream.past = network.forward_merged(x0, noise[0], time, join(before, chunk), window)
            x = forward_process(velocity_to_x0(noise[0], v, high), noise[1], low)
            return stream(x, low, chunk)


@torch.inference_mode()
def bench(family: Family, chunks: int = 10, merged: bool = False) -> BenchResult:
    """Run ``chunks`` chunks in the steady state after a warm-up, and a fresh start for the time to the first frame.

    Args:
        family: what is measured.
        chunks: counted ones.
        merged: run the cache write together with the first step of the next chunk.
    """
    device = family.text.device
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    meter = Meter(device)
    run = BenchRun(family, meter, merged)
    seconds = []
    for number in range(WARM_UP + chunks):
        if number == WARM_UP:
            meter.clear()
        wait()
        began = time.perf_counter()
        run.chunk(number)
        wait()
        seconds.append(time.perf_counter() - began)
    stages = meter.times()
    first = BenchRun(family, Meter(), merged)
    wait()
    began = time.perf_counter()
    first.chunk(0)
    wait()
    first_frame = time.perf_counter() - began
    try:
        peak = peak_memory(device)
    except OSError:
        peak = None
    flops = chunk_flops(family.student.config, run.stream.geometry.tokens, run.text.layers[0][0].shape[1])
    return BenchResult(
        stages, StageTimes(tuple(seconds[WARM_UP:])), first_frame, peak, flops, matmul_ceiling(family.text)
    )


def chunk_flops(config: WanConfig, tokens: int, text: int) -> float:
    """Operations of the transformer for a chunk in the steady state: two denoising steps and a cache write.

    Args:
        config: sizes.
        tokens: of one latent frame.
        text: positions of the prompt that are attended to.
    """
    own, keys = CHUNK_LATENTS * tokens, WINDOW_FRAMES * tokens
    step = config.forward_flops(own, keys, text)
    write = replace(config, num_layers=config.num_layers - 1).forward_flops(own, keys, text)
    return len(TWO_STEP[:-1]) * step + write


def matmul_ceiling(like: Tensor, seconds: float = 0.5) -> float:
    """Operations per second of a large square matrix product with dtype and device of ``like``: the best of several."""
    cuda = like.is_cuda
    edge = 8192 if cuda else 1024
    a, b = (like.new_empty(edge, edge).normal_() for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        a @ b
        if cuda:
            torch.cuda.synchronize()
        best = max(best, 2 * edge**3 / (time.perf_counter() - began))
    return best


def report(result: BenchResult, title: str) -> str:
    """The result as text for a terminal."""
    lines = [title]
    for name, stage in {**result.stages, "chunk": result.chunk}.items():
        low, high = stage.spread
        lines.append(f"  {name:12s} {1e3 * stage.median:9.1f} ms   ({1e3 * low:.1f} to {1e3 * high:.1f})")
    peak = "unknown" if result.peak is None else f"{result.peak / 1e9:.2f} GB"
    lines += [
        f"  {result.fps:.1f} frames per second, first frame after {1e3 * result.first_frame:.0f} ms, peak {peak}",
        f"  transformer {result.flops / 1e12:.3g} TFLOP per chunk, at {100 * result.utilisation:.0f} % of a matrix "
        f"product's {result.ceiling / 1e12:.3g} TFLOP/s",
    ]
    return "\n".join(lines)
