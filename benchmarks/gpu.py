"""The one script for a GPU that is there for minutes only: numbers, speed, kernels, a training step.

    python -m benchmarks.gpu --out gpu                # CUDA, the published sizes, in at most eight minutes
    python -m benchmarks.gpu --out gpu --minutes 4    # the most telling of it in half the time
    python -m benchmarks.gpu --out gpu --small        # the same on any machine, at the tiny sizes

Every section has a time limit and leaves what it found in ``gpu.json`` and ``gpu.md`` before the next one starts.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from lipforcing.codecs.base import decode, encode
from lipforcing.codecs.taehv import TAEHV, taew2_1
from lipforcing.codecs.wan_vae import WanVAE, WanVAEConfig
from lipforcing.distill.parallel import Policy, parallelize
from lipforcing.models import Inputs, WanConfig, WanTransformer
from lipforcing.sampling.capture import CapturedStudent
from lipforcing.sampling.causal import CausalStream, NetworkStudent, denoise_chunk
from lipforcing.stream.bench import BenchRun, bench, random_family
from lipforcing.stream.family import Family
from lipforcing.stream.meter import Meter
from tests.golden_weights import procedural_weights, taehv_rule

from .common import ROOT, hardware, table
from .training_step import CASES, LORA_RANK, Case, measure

MINUTES = 8.0  # that the sections' limits are made for
GOLDENS = ROOT / "tests" / "data" / "goldens"
FIELDS = ("dim", "ffn_dim", "num_heads", "num_layers", "in_dim", "out_dim", "text_dim", "text_len", "freq_dim", "eps")


class OutOfTime(BaseException):
    """A section used up its time; no part of it may take this for an error of its own."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Interrupt what is done within after ``seconds``."""

    def stop(*_):
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


class Golden:
    """A golden set on a device."""

    def __init__(self, name: str, device: torch.device) -> None:
        with safe_open(GOLDENS / f"{name}.safetensors", framework="pt") as file:
            self.meta = json.loads(file.metadata()["golden"])
            self.tensors = {key: file.get_tensor(key).to(device) for key in file.keys()}  # noqa: SIM118
        self.config = self.meta["config"]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def weights(self) -> dict[str, Tensor]:
        return {name.removeprefix("weights/"): t for name, t in self.tensors.items() if name.startswith("weights/")}


def error_row(name: str, actual: Tensor, expected: Tensor, limit: tuple[float, float] | None) -> dict:
    """Largest and mean absolute error, and whether they are within ``limit`` (None: only reported)."""
    error = (actual.double() - expected.double()).abs()
    largest, mean = error.max().item(), error.mean().item()
    within = "" if limit is None else "yes" if largest <= limit[0] and mean <= limit[1] else "NO"
    shown = "" if limit is None else f"{limit[0]:g} / {limit[1]:g}"
    return {"quantity": name, "max": largest, "mean": mean, "limit": shown, "within": within}


def golden_student(data: Golden) -> WanTransformer:
    sizes = {name: data.config[name] for name in FIELDS}
    config = WanConfig(**sizes, audio_dim=data.config["audio_in"], audio_hidden=data.config["audio_hidden"])
    model = WanTransformer(config, device="meta")
    model.load_state_dict(data.weights(), strict=True, assign=True)
    return model.requires_grad_(False)


def student_chunks(data: Golden, model: WanTransformer, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """All chunks of the student set, ours and the reference's."""
    model = model.to(dtype)
    names = ("ref_latent", "masked_video", "ref_sequence", "audio_emb", "text_embeds")
    ref, masked, sequence, audio, text = (data[f"cond/{name}"].to(dtype) for name in names)
    inputs = Inputs(ref, (1 - data["cond/mask"]).to(dtype)[None, None, None], masked, sequence, audio, text)
    conditioning, sigmas = model.prepare(inputs), data["schedule/t_list"].tolist()
    stream = CausalStream(NetworkStudent(model), ref, sigmas)
    ours, theirs = [], []
    for c, first in enumerate(data["noise/init"].to(dtype).split(3, dim=2)):
        chunk = conditioning.span(3 * c, 3 * c + 3)
        noise = torch.cat((first[None], data["noise/renoise"][c].to(dtype)))
        x0 = denoise_chunk(lambda x, sigma, chunk=chunk: stream(x, sigma, chunk), noise, sigmas)
        stream.cache_write(x0, chunk)
        ours.append(x0)
        theirs.append(data[f"chunk{c}/x0"])
    return torch.cat(ours), torch.cat(theirs)


def float8_weights(model: WanTransformer) -> WanTransformer:
    """Weights of linear layers rounded to float8, with one scale per tensor."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            scale = layer.weight.abs().amax() / torch.finfo(torch.float8_e4m3fn).max
            layer.weight.data = (layer.weight / scale).to(torch.float8_e4m3fn).to(layer.weight) * scale
    return model


@torch.no_grad()
def numbers(device: torch.device) -> Iterator[dict]:
    """The device against the goldens: float32 without TF32, and half precision within the reference's own error."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    data = Golden("student_ar", device)
    yield error_row("student, float32", *student_chunks(data, golden_student(data), torch.float32), (1e-4, 1e-5))
    half = student_chunks(data, golden_student(data), torch.bfloat16)
    yield error_row("student, bfloat16", *half, (0.052, 0.009))
    yield error_row("student, float16", *student_chunks(data, golden_student(data), torch.float16), None)
    eight = student_chunks(data, float8_weights(golden_student(data)), torch.bfloat16)
    yield error_row("student, float8 weights", *eight, None)

    data = Golden("wan_vae_stream", device)
    vae = WanVAE(WanVAEConfig(dim=data.config["dim"])).to(device).requires_grad_(False)
    vae.load_state_dict(data.weights(), strict=True)
    video, latents = data["inputs/frames"], data["outputs/latents"]
    yield error_row("Wan VAE latents, float32", encode(vae, video), latents, (1e-4, 1e-5))
    raw = decode(vae, latents, clamp=False)
    yield error_row("Wan VAE frames, float32", raw, data["outputs/decoded_raw"], (1e-4, 1e-5))
    half = encode(vae.bfloat16(), video.bfloat16())
    yield error_row("Wan VAE latents, bfloat16", half, latents, (0.038, 0.005))

    data = Golden("taehv_stream", device)
    procedure = data.meta["weights_procedure"]
    codec = TAEHV(taew2_1()).requires_grad_(False)
    codec.load_state_dict(procedural_weights(procedure["key_shapes"], procedure["seed"], taehv_rule(procedure["gain"])))
    codec, latents = codec.to(device), data["inputs/latents"].transpose(1, 2)
    expected = data["outputs/frames"].transpose(1, 2)
    yield error_row("TAEHV frames, float32", (decode(codec, latents) + 1) / 2, expected, (1e-4, 1e-5))
    if device.type == "cuda":  # float16 convolutions of the CPU take minutes
        half = (decode(codec.half(), latents.half()) + 1) / 2
        # the reference's own 0.0025 and 0.0002 are rounded to these digits
        yield error_row("TAEHV frames, float16", half, expected, (0.00255, 0.00025))


@torch.inference_mode()
def waits(device: torch.device, family: Family) -> list[dict]:
    """Whether a chunk waits for the device: every stage once under PyTorch's own check."""

    class Checked(Meter):
        @contextlib.contextmanager
        def stage(self, name):
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("error")
            try:
                yield
                found.append({"stage": name, "waits": "no"})
            except RuntimeError as error:
                found.append({"stage": name, "waits": str(error).splitlines()[0]})
                raise
            finally:
                if device.type == "cuda":
                    torch.cuda.set_sync_debug_mode("default")

    found: list[dict] = []
    run = BenchRun(family, Meter(), merged=False)
    for number in range(3):
        run.chunk(number)
    run.meter = Checked()
    with contextlib.suppress(RuntimeError):
        run.chunk(3)
    return found


def speed(name: str, family: Family, chunks: int, **options) -> dict:
    """One row of the speed table."""
    result = bench(family, chunks, **options)
    stages = {stage: round(1e3 * times.median, 2) for stage, times in result.stages.items()}
    low, high = result.chunk.spread
    return {
        "run": name,
        "frames/s": round(result.fps, 2),
        "chunk ms": f"{1e3 * result.chunk.median:.1f} ({1e3 * low:.1f} to {1e3 * high:.1f})",
        "first frame ms": round(1e3 * result.first_frame, 1),
        **{f"{stage} ms": stages.get(stage, "") for stage in ("encode", "denoise", "cache write", "decode")},
        "peak GB": None if result.peak is None else round(result.peak / 1e9, 2),
        "of matmul": f"{100 * result.utilisation:.0f} %",
        "matmul TFLOP/s": round(result.ceiling / 1e12, 3),
    }


def variants(preset: str, device: torch.device, dtype: torch.dtype, chunks: int) -> Iterator[Callable[[], dict]]:
    """Ways to run one size, each as a function that measures it, the most telling ones first."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    family = random_family(preset, device, dtype)
    network = family.student.network

    def row(name: str, **options) -> dict:
        return speed(f"{preset}, {name}", family, chunks, **options)

    def graphs(name: str) -> dict:
        return speed(f"{preset}, {name}", replace(family, student=CapturedStudent(network)), chunks)

    def compiled() -> dict:
        torch._dynamo.reset()
        parallelize(network, policy=Policy(compile=True, backend="inductor" if device.type == "cuda" else "eager"))
        return row("compiled per block")

    def plain_graphs() -> dict:
        with torch.compiler.set_stance("force_eager"):  # as if nothing was compiled
            return graphs("CUDA graphs")

    yield lambda: row("eager")
    yield lambda: row("merged cache write", merged=True)
    yield compiled
    if device.type != "cuda":
        return
    yield plain_graphs
    yield lambda: graphs("compiled, CUDA graphs")
    yield lambda: row("compiled, merged", merged=True)
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION):

        def with_backend(backend=backend) -> dict:
            # The text's keys have a bias, which not every back-end takes.
            order = [backend, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
            with torch.compiler.set_stance("force_eager"), sdpa_kernel(order, set_priority=True):
                return row(backend.name.lower())

        yield with_backend


@torch.inference_mode()
def kernels(family: Family, device: torch.device, count: int = 15) -> list[dict]:
    """Where the device's time goes in one chunk of the steady state."""
    from torch.profiler import ProfilerActivity, profile

    run = BenchRun(family, Meter(), merged=False)
    for number in range(3):
        run.chunk(number)
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as profiler:
        run.chunk(3)
        if cuda:
            torch.cuda.synchronize()
    name = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, name))
    total = sum(getattr(event, name) for event in events)
    return [
        {
            "kernel": event.key[:80],
            "calls": event.count,
            "ms": round(getattr(event, name) / 1e3, 3),
            "share": f"{100 * getattr(event, name) / total:.1f} %",
        }
        for event in events[:count]
    ]


def training(device: torch.device, cases: Iterable[Case], seconds: float) -> Iterator[dict]:
    """A training's step of each case, predicted and measured; shorter samples only where longer ones did not fit."""
    done: set[tuple] = set()
    for case in cases:
        if (case.preset, case.task) not in done:
            row = measure(case, device, seconds)
            if row["result"] == "done":
                done.add((case.preset, case.task))
            yield row


class Report:
    """What was found so far, on disk."""

    def __init__(self, out: Path, device: torch.device) -> None:
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        self.data: dict = {"hardware": hardware(), "device": str(device), "sections": {}}

    def add(self, section: str, rows: list[dict], note: str = "") -> None:
        found = self.data["sections"].setdefault(section, {"rows": [], "notes": []})
        found["rows"] += rows
        found["notes"] += [note] if note else []
        (self.out / "gpu.json").write_text(json.dumps(self.data, indent=1))
        (self.out / "gpu.md").write_text(self.markdown())

    def markdown(self) -> str:
        parts = [f"{self.data['hardware']}"]
        for name, section in self.data["sections"].items():
            parts.append(f"## {name}")
            if section["rows"]:
                header = list(dict.fromkeys(key for row in section["rows"] for key in row))
                parts.append(table(header, [[shown(row.get(key, "")) for key in header] for row in section["rows"]]))
            parts += section["notes"]
        return "\n\n".join(parts) + "\n"


def shown(value: object) -> str:
    return f"{value:.2e}" if isinstance(value, float) and 0 < abs(value) < 0.01 else str(value)


def main(argv: list[str] | None = None) -> None:
    """Run all sections within their limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder for gpu.json and gpu.md")
    parser.add_argument("--small", action="store_true", help="tiny sizes, on the CPU: a rehearsal")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="in all; the sections' limits follow")
    arguments = parser.parse_args(argv)
    scale = arguments.minutes / MINUTES
    device = torch.device("cpu" if arguments.small else "cuda")
    dtype = torch.float32 if arguments.small else torch.bfloat16
    presets = {"tiny": 300} if arguments.small else {"wan_1_3b": 150, "wan_14b": 220}
    chunks = 1 if arguments.small else 6
    report, began = Report(arguments.out, device), time.monotonic()

    def section(name: str, seconds: float, run: Callable[[], Iterable[dict]]) -> None:
        left = 60 * arguments.minutes - (time.monotonic() - began)
        if left < 5:
            report.add(name, [], "not run: no time left")
            return
        start, note = time.monotonic(), ""
        try:
            with limited(min(scale * seconds, left)):
                for row in run():
                    report.add(name, [row])
        except OutOfTime:
            note = f"stopped after {time.monotonic() - start:.0f} s"
        except Exception:
            note = f"failed:\n```\n{traceback.format_exc(limit=-3)}```"
        report.add(name, [], note)
        print(f"{name}: {time.monotonic() - start:.0f} s {note}", flush=True)

    section("Numbers against the goldens", 180 if arguments.small else 60, lambda: numbers(device))
    for preset, seconds in presets.items():
        end = time.monotonic() + scale * seconds
        title = f"Speed, {preset}, {str(dtype).removeprefix('torch.')}"
        runs = variants(preset, device, dtype, chunks)
        for number, run in enumerate(runs):
            section(title, max(10.0, end - time.monotonic()) / scale, lambda run=run: [run()])
            if number == 0:
                family = random_family(preset, device, dtype)
                section(f"Does a chunk wait, {preset}", 30, lambda family=family: waits(device, family))
                section(f"Kernels, {preset}, eager", 40, lambda family=family: kernels(family, device))
                del family
            if time.monotonic() > end:
                break
        del runs, run
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    cases = (
        [CASES[0]]
        if arguments.small
        else [Case("wan_1_3b"), *(Case("wan_14b", lora_rank=LORA_RANK, chunks=n) for n in (7, 3, 2))]
    )
    section("Training step", 120 if arguments.small else 50, lambda: training(device, cases, 10 * scale))
    print((arguments.out / "gpu.md").read_text())


if __name__ == "__main__":
    main()
