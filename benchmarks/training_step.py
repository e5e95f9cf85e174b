"""What one optimizer step costs at the published sizes: memory, operations, time; predicted without a GPU or measured.

    python -m benchmarks.training_step                 # prediction, into docs/training_step.json; minutes for each
    python -m benchmarks.training_step --measure       # on a GPU, beside the prediction

Both run the trainer's own steps (``distill.trainer.advance``) of the tiny family's own tasks, enlarged: the student's
rollout with its own past, chunk after chunk through the cache, and the teacher's flow matching over the whole clip, of
one sample of random latents. Prediction runs them on fake tensors, whose storages and operations PyTorch's own
``MemTracker`` and ``FlopCounterMode`` count. Only the figures per rank are arithmetic (``per_rank``).
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode, unset_fake_temporarily
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from lipforcing.distill.parallel import Network
from lipforcing.distill.recipes.denoiser import StudentRecipe, StudentTask, TeacherRecipe, TeacherTask
from lipforcing.distill.recipes.latents import LatentClips
from lipforcing.distill.state import State
from lipforcing.distill.trainer import Batch, advance, start, trained
from lipforcing.models import WanConfig, WanTransformer
from lipforcing.models.config import PRESETS
from lipforcing.sampling.schedules import TWO_STEP
from lipforcing.stream.meter import peak_memory
from lipforcing.timeline import frames_for_chunks, latents_for_frames

from .common import ROOT, hardware, table

PREDICTED = ROOT / "docs" / "training_step.json"
RANKS = (8, 32)
LORA_RANK = 128  # of the published adapters


@dataclass(frozen=True)
class Case:
    """One step that is looked at.

    Attributes:
        preset: of ``models.config``.
        task: ``student`` or ``teacher``.
        lora_rank: 0 trains the whole network.
        chunks: length of the sample, three latent frames each.
        edge: of the square latents; 64 are 512 pixels.
        checkpointing: compute activations of blocks again in the backward pass.
    """

    preset: str
    task: str = "student"
    lora_rank: int = 0
    chunks: int = 7
    edge: int = 64
    checkpointing: bool = True

    def __str__(self) -> str:
        learns = f"LoRA {self.lora_rank}" if self.lora_rank else "full"
        kept = "" if self.checkpointing else ", all activations kept"
        return f"{self.preset}, {self.task}, {learns}, {self.chunks} chunks{kept}"


CASES = (
    Case("tiny", chunks=3, edge=16),  # for the rehearsal
    Case("wan_1_3b"),
    Case("wan_14b", lora_rank=LORA_RANK),
    Case("wan_14b", lora_rank=LORA_RANK, chunks=3),
    Case("wan_1_3b", lora_rank=LORA_RANK),
    Case("wan_14b"),
    Case("wan_1_3b", "teacher"),
    Case("wan_14b", "teacher", LORA_RANK),
    Case("wan_14b", "teacher"),
    Case("wan_1_3b", checkpointing=False),
)


class _Enlarged:
    """A task of the tiny family at another size, on one random sample; its losses are those of the family."""

    def __init__(self, case: Case) -> None:
        kind = StudentRecipe if case.task == "student" else TeacherRecipe
        self.recipe = kind(
            str(case), 100, 1e-5, 0, 1, precision="bfloat16", checkpointing=case.checkpointing, lora_rank=case.lora_rank
        )
        self.config: WanConfig = PRESETS[case.preset]()
        frames = frames_for_chunks(case.chunks)
        latents = (1, self.config.out_dim, latents_for_frames(frames), case.edge, case.edge)
        audio = torch.randn(1, frames, self.config.audio_dim)
        self.clips = LatentClips(*(torch.randn(latents) for _ in range(3)), audio)
        self.networks = {case.task: Network(self.build, self.blank)}

    def build(self) -> WanTransformer:
        with unset_fake_temporarily():  # the meta device is fake enough, and modules move from it more easily
            return super().build()

    def blank(self) -> Mapping[str, Tensor]:
        """Weights that take no memory: one zero, shown as every tensor."""
        with torch.device("meta"):
            shapes = self.build().state_dict()
        return {name: torch.zeros((), dtype=like.dtype).expand(like.shape) for name, like in shapes.items()}


class Student(_Enlarged, StudentTask):
    """The rollout of self forcing, always left at the last step: the longest one."""

    def losses(
        self, step: int, batch: Batch, models: Mapping[str, nn.Module]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        late = self.recipe.iterations  # only its own past
        return super().losses(late, {**batch, "exit": len(TWO_STEP) - 2}, models)


class Teacher(_Enlarged, TeacherTask):
    """Flow matching over the whole sample."""

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        return super().draw(0, generator)  # a step that takes whole windows


TASKS = {"student": Student, "teacher": Teacher}


@dataclass(frozen=True)
class Prediction:
    """What a step takes that is not the first one, counted on fake tensors, in bytes.

    Attributes:
        weights, optimizer, averages: what is there between steps.
        gradients: at the peak.
        activations: all else at the peak, the temporary things of the backward pass included.
        flops: operations of matrix products, convolutions and attention, of what is computed again too.
        block: the largest block's weights in bfloat16, which FSDP gathers as one.
    """

    weights: int
    optimizer: int
    averages: int
    gradients: int
    activations: int
    flops: float
    block: int

    @property
    def peak(self) -> int:
        """On one device."""
        return self.weights + self.optimizer + self.averages + self.gradients + self.activations

    def per_rank(self, ranks: int) -> float:
        """Peak on each of several devices under FSDP2 with a sample on each: arithmetic, not counted.

        Weights, gradients, optimizer and averages are divided evenly, activations not at all, and two blocks, the one
        that runs and the next one, are there whole in bfloat16.
        """
        shared = self.weights + self.optimizer + self.averages + self.gradients
        return shared / ranks + self.activations + (2 * self.block if ranks > 1 else 0)


class Storages(MemTracker):
    """Counts what is alive, without telling it of single modules: it refuses modules that run more than once a step."""

    def watch(self, model: nn.Module) -> None:
        """Count a module's weights as such, and what becomes their gradients."""
        self.track_external(model)
        self._track_module_params_and_buffers(nn.ParameterList(trained(model).values()))

    def _ignore(self, *_) -> None: ...

    _pre_fw_hook = _post_fw_hook = _pre_bw_hook = _post_bw_hook = _ignore


ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
CPU_FLOPS = {  # PyTorch counts the fused attention of GPUs only
    ATTENTION: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, q, k, v, *_, **__: sdpa_backward_flop_count(grad, q, k, v)
    ),
}


def predict(case: Case) -> Prediction:
    """Count a step of a training on fake tensors of the CPU: nothing is computed, nothing is allocated.

    Call it in a process of its own: what engine functions keep between calls is fake afterwards.
    """
    device = torch.device("cpu")
    with FakeTensorMode(allow_non_fake_inputs=True):
        task = TASKS[case.task](case)
        state = start(task, device, None)
        with FlopCounterMode(display=False, custom_mapping=CPU_FLOPS) as flops:  # keeps tensors: not while they count
            fake_step(task, state, device)
        (model,), (optimizers,), (averages,) = (
            [*part.values()] for part in (state.models, state.optimizers, state.averages)
        )
        model.zero_grad(set_to_none=True)
        tracker = Storages()
        tracker.watch(model)
        tracker.track_external(*optimizers, *averages.values())
        before = named(tracker.get_tracker_snapshot()[device])
        with tracker:
            fake_step(task, state, device)
        peak = named(tracker.get_tracker_snapshot("peak")[device])
    lasting = before["Parameter"], before["Optstate"], before["Other"]
    activations = peak["Total"] - sum(lasting) - peak["Gradient"]
    block = max(2 * sum(p.numel() for p in block.parameters()) for block in model.blocks)
    return Prediction(*lasting, peak["Gradient"], activations, flops.get_total_flops(), block)


def named(snapshot: Mapping) -> dict[str, int]:
    """Bytes by plain names."""
    return {getattr(kind, "value", kind): size for kind, size in snapshot.items()}


def fake_step(task: _Enlarged, state: State, device: torch.device) -> None:
    """A step of the trainer; the numbers that it tells at its very end are not there."""
    before = state.step
    with suppress(DataDependentOutputException):
        advance(task, state, device)
    assert state.step == before + 1


def predicted(case: Case) -> Prediction | None:
    """What ``PREDICTED`` says of a case."""
    known = json.loads(PREDICTED.read_text()) if PREDICTED.exists() else {}
    return Prediction(**known[str(case)]) if str(case) in known else None


def measure(case: Case, device: torch.device, seconds: float = 10.0, most: int = 5) -> dict:
    """A row of what steps really take, beside the prediction; weights are random.

    Args:
        case: see ``Case``.
        device: where.
        seconds: after which no further step is begun; one follows the first in any case.
        most: steps after the first.
    """
    cuda = device.type == "cuda"
    known = predicted(case)
    row = {"step": str(case), "predicted GB": known and gigabytes(known.peak)}
    if cuda and known and known.peak > (room := torch.cuda.get_device_properties(device).total_memory):
        return row | {"result": f"not tried: the card has {gigabytes(room)} GB"}
    try:
        first, times, peak = steps(case, device, seconds, most)
    except torch.OutOfMemoryError:
        return row | {"result": "out of memory", "measured GB": gigabytes(peak_memory(device))}
    flops = known and known.flops / median(times)
    return row | {
        "measured GB": gigabytes(peak) if cuda else "",
        "s": short(median(times)),
        "of steps": len(times),
        "first s": short(first),
        "predicted TFLOP": known and short(known.flops / 1e12),
        "TFLOP/s": flops and short(flops / 1e12),
        "result": "done",
    }


def steps(case: Case, device: torch.device, seconds: float, most: int) -> tuple[float, list[float], int]:
    """Seconds of the first step and of others, and the peak of the others as ``peak_memory`` tells it."""
    cuda = device.type == "cuda"
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()  # of what an earlier case left
    task = TASKS[case.task](case)
    state = start(task, device, None)
    with torch.no_grad():
        for model in state.models.values():
            for parameter in model.parameters():
                parameter.normal_(std=0.02)
    times: list[float] = []
    end = time.monotonic() + seconds
    while len(times) < 2 or (time.monotonic() < end and len(times) <= most):
        began = time.perf_counter()
        advance(task, state, device)  # ends with numbers on the CPU, so it has waited for the device
        times.append(time.perf_counter() - began)
        if cuda and len(times) == 1:
            torch.cuda.reset_peak_memory_stats(device)
    assert all(learnt(model) for model in state.models.values())
    return times[0], times[1:], peak_memory(device)


def learnt(model: nn.Module) -> bool:
    """Whether a gradient came to every weight that learns."""
    return all(parameter.grad is not None for parameter in trained(model).values())


def gigabytes(size: float) -> float:
    return short(size / 1e9)


def short(value: float) -> float:
    """Three digits of it."""
    return float(f"{value:.3g}")


def prediction_table(known: Mapping[str, Prediction]) -> str:
    """Predictions as Markdown."""
    header = ["step", "weights", "gradients", "optimizer", "averages", "activations", "peak"]
    header += [*(f"per GPU of {ranks}" for ranks in RANKS), "TFLOP"]
    rows = []
    for name, p in known.items():
        sizes = (p.weights, p.gradients, p.optimizer, p.averages, p.activations, p.peak, *map(p.per_rank, RANKS))
        rows.append([name, *(f"{size / 1e9:.3g}" for size in sizes), f"{p.flops / 1e12:.3g}"])
    return table(header, rows)


def main(argv: list[str] | None = None) -> None:
    """Predict into a file, or measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="steps whose name contains this")
    parser.add_argument("--measure", action="store_true", help="run them instead of counting them")
    parser.add_argument("--device", default="cuda", help="that runs them")
    parser.add_argument("--out", type=Path, default=PREDICTED, help="JSON that predictions are added to")
    parser.add_argument("--jobs", type=int, default=1, help="predictions at a time")
    arguments = parser.parse_args(argv)
    cases = [case for case in CASES if arguments.only in str(case)]
    print(hardware())
    if arguments.measure:
        for case in cases:
            print(measure(case, torch.device(arguments.device)), flush=True)
        return
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    with get_context("spawn").Pool(arguments.jobs, maxtasksperchild=1) as pool:
        for case, found in zip(cases, pool.imap(predict, cases)):
            known[str(case)] = asdict(found)
            arguments.out.write_text(json.dumps(known, indent=1) + "\n")
            print(f"{case}: {gigabytes(found.peak)} GB", flush=True)
    print(prediction_table({name: Prediction(**values) for name, values in known.items()}))


if __name__ == "__main__":
    main()
