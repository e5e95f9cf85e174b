"""Convert and merge checkpoints of any layout into safetensors with official names, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..output import check_new_file
from ..sampling.schedules import TWO_STEP, check_schedule
from .catalog import TRANSFORMERS
from .checkpoint import Checkpoint, open_checkpoint
from .configs import HIDDEN, METADATA_KEY, OwnMetadata, as_table, wan_config
from .detect import INPUT_CHANNELS, Kind, Recognition, transformer_size
from .load import check_complete
from .lora import Adapted
from .quantization import FORMAT, FP8, SCALE, is_quantisable, quantise, quantization_metadata, scale_of
from .quantization import METADATA_KEY as QUANTIZATION_KEY
from .sources import Overlaid, Spec, TensorSource
from .writer import SafetensorsWriter, replacing

FP8_NAME = f"fp8_{FORMAT.removeprefix('float8_')}"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32, FP8_NAME: torch.bfloat16}
SCALE_SPEC = Spec((), torch.float32)
Progress = Callable[[int, int], None]


def convert(
    path: str | Path,
    out: str | Path,
    dtype: str | None = None,
    progress: Progress | None = None,
    schedule: Sequence[float] = (),
) -> Path:
    """Write a checkpoint as one safetensors file with official names and metadata.

    The tensors pass through memory in blocks of 64 MB. Transformer files say what they are, their sizes and schedule
    (metadata ``lipforcing``); float8 files carry per-layer scales in the host's format, see ``quantization``.

    Args:
        path: any checkpoint that ``open_checkpoint`` knows; a training delta needs ``merge``.
        out: the new file; replaced only when complete.
        dtype: "bf16", "fp16", "fp32" or "fp8_e4m3fn" for floating-point tensors, None to keep each as it is. With
            float8 everything but the blocks' large matrices becomes bf16.
        progress: called with bytes written and bytes in all.
        schedule: sigmas to note in a student's metadata, by default those of the source, else 0.999, 0.769, 0.

    Returns:
        ``out``.

    Raises:
        InputError: the source is damaged, incomplete or unknown; the dtype does not suit it; the schedule is none;
            ``out`` cannot be written or is the source itself.
    """
    check_new_file(out, [path])
    if schedule:
        check_schedule(schedule, f"The schedule is {' '.join(f'{sigma:g}' for sigma in schedule)}")
    checkpoint = open_checkpoint(path)
    if checkpoint.kind is Kind.UNKNOWN:
        raise InputError(f"{checkpoint.file.label} is {checkpoint.describe()}; expected weights for one of our models")
    check_complete(checkpoint)
    own = _own_metadata(checkpoint, tuple(schedule))
    return write_weights(checkpoint.weights, Path(out), dtype, own, progress)


def merge(
    base: str | Path,
    adapter: str | Path | Sequence[str | Path],
    out: str | Path,
    dtype: str | None = "bf16",
    progress: Progress | None = None,
    kind: Kind = Kind.TEACHER,
) -> Path:
    """Merge adapters into plain Wan 2.1 in float32 and write one safetensors file.

    Args:
        base: plain Wan 2.1 in any layout.
        adapter: the teacher's adapter, or a sequence in which later files replace tensors of earlier ones: teacher
            adapter, then training delta.
        out: the new file; replaced only when complete.
        dtype: as in ``convert``.
        progress: called with bytes written and bytes in all.
        kind: what the result is: ``Kind.TEACHER``, or ``Kind.STUDENT`` with a student's training delta.

    Returns:
        ``out``.

    Raises:
        InputError: as ``convert``, ``out`` is an adapter, or base and adapter do not belong together.
    """
    paths = [adapter] if isinstance(adapter, (str, Path)) else list(adapter)
    check_new_file(out, [base, *paths])
    if _is_adapter(out):
        raise InputError(f"{out} is an adapter; name the new file last, after the adapters.")
    merged = open_merged(open_checkpoint(base, Kind.WAN_BASE), [open_checkpoint(one, Kind.ADAPTER) for one in paths])
    own = OwnMetadata(kind.value, as_table(merged.config), TWO_STEP if kind is Kind.STUDENT else ())
    return write_weights(merged.weights, Path(out), dtype, own, progress)


def _is_adapter(path: str | Path) -> bool:
    try:
        return open_checkpoint(path).kind is Kind.ADAPTER
    except InputError:
        return False


def open_merged(base: Checkpoint, adapters: Sequence[Checkpoint]) -> Checkpoint:
    """Base and adapters as one checkpoint, merged tensor by tensor when it is read.

    Raises:
        InputError: they do not belong together or make no complete model.
    """
    if any(transformer_size(adapter.weights) != transformer_size(base.weights) for adapter in adapters):
        adapter = next(one for one in adapters if transformer_size(one.weights) != transformer_size(base.weights))
        raise InputError(
            f"{adapter.file.label} is {adapter.describe()}, but {base.file.label} is {base.describe()}; "
            "take base and adapter of the same size"
        )
    changes = adapters[0].weights
    for adapter in adapters[1:]:
        changes = Overlaid(changes, adapter.weights)
    weights = Adapted(base.weights, changes, in_dim=INPUT_CHANNELS)
    hidden = {name: value for name, value in base.own.config.items() if name in HIDDEN}
    config = wan_config(weights, OwnMetadata(config=hidden))
    recognition = Recognition(Kind.TEACHER, Kind.TEACHER.title, OwnMetadata(config=hidden))
    merged = Checkpoint(base.file, base.layout, weights, weights, recognition, config)
    check_complete(merged)
    return merged


def write_weights(
    weights: TensorSource,
    out: Path,
    dtype: str | None = None,
    own: OwnMetadata | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write tensors under their names to one safetensors file, a block of rows at a time.

    Args:
        weights: any source.
        out, dtype, progress: as in ``convert``.
        own: what the file shall say about itself.

    Raises:
        InputError: an unknown dtype, float8 for something without large blocks, values that the dtype cannot hold,
            or ``out`` cannot be written.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r} is not known; choose one of {', '.join(DTYPES)}")
    quantised = {name for name in weights if dtype == FP8_NAME and is_quantisable(name)}
    if dtype == FP8_NAME and not quantised:
        raise InputError(f"{weights.label} has no transformer blocks to store in float8; choose bf16 or fp16")
    specs = {name: _target(weights.spec(name), DTYPES.get(dtype or ""), name in quantised) for name in weights}
    specs |= {_scale_name(name): SCALE_SPEC for name in quantised}
    metadata = {"format": "pt"}
    if own is not None and own != OwnMetadata():
        metadata[METADATA_KEY] = own.to_text()
    if quantised:
        metadata[QUANTIZATION_KEY] = quantization_metadata(name.removesuffix(".weight") for name in sorted(quantised))
    with replacing(out, sum(spec.nbytes for spec in specs.values())) as file:
        writer = SafetensorsWriter(file, specs, metadata)
        for name in weights:
            for written in _write(writer, weights, name, name in quantised):
                if progress:
                    progress(written, writer.total)
        writer.finish()
    return out


def _write(writer: SafetensorsWriter, weights: TensorSource, name: str, quantised: bool) -> Iterator[int]:
    """One tensor, and its scale if it is quantised; yields the bytes written so far."""
    label = f"{weights.label}: {name}"
    if not quantised:
        yield from writer.write(name, _checked(weights.blocks(name), writer.specs[name].dtype, label))
        return
    # Two passes over the source, so that no more than a block is ever held.
    scale = scale_of(weights.blocks(name), label)
    yield from writer.write(name, (quantise(block, scale) for block in weights.blocks(name)))
    yield from writer.write(_scale_name(name), [torch.tensor(scale)])


def _checked(blocks: Iterator[Tensor], dtype: torch.dtype, label: str) -> Iterator[Tensor]:
    """The blocks in another dtype; refuses values beyond its range, which would become infinite."""
    for block in blocks:
        cast = block.to(dtype)
        if dtype is torch.float16 and not torch.equal(cast.isfinite(), block.isfinite()):
            raise InputError(f"{label} has values beyond the range of fp16; choose bf16")
        yield cast


def _target(spec: Spec, dtype: torch.dtype | None, quantised: bool) -> Spec:
    if quantised:
        return Spec(spec.shape, FP8)
    return Spec(spec.shape, dtype if dtype and spec.dtype.is_floating_point else spec.dtype)


def _scale_name(name: str) -> str:
    return name.removesuffix(".weight") + SCALE


def _own_metadata(checkpoint: Checkpoint, schedule: tuple[float, ...]) -> OwnMetadata:
    """What a converted file says about itself."""
    own = checkpoint.own
    if checkpoint.kind not in TRANSFORMERS:
        return own
    schedule = schedule or own.schedule or (TWO_STEP if checkpoint.kind is Kind.STUDENT else ())
    return OwnMetadata(checkpoint.kind.value, as_table(checkpoint.config), schedule, own.rest)
