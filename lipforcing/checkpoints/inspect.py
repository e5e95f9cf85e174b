"""What is in a file of weights, without loading it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .checkpoint import open_checkpoint
from .configs import as_table
from .detect import Kind
from .load import Differences, differences_of

LISTED = 5


@dataclass(frozen=True)
class Inspection:
    """Findings about one file or folder.

    Attributes:
        name: of the file or folder.
        kind: value of ``detect.Kind``.
        found: in words, with the size; for unknown files the nearest guess.
        format: container, see ``files.TensorFile``.
        layout: what its tensor names were stripped of or mapped from.
        config: sizes by field name, empty where the kind has none.
        schedule: sigmas the student was distilled for, empty where the file does not say.
        parameters: numbers of all tensors together, scales not counted.
        tensors: how many tensors.
        dtypes: dtype -> parameters stored in it.
        size: bytes of the file or of all files of the folder.
        missing, unexpected: official names that the network wants or does not want.
        misshapen: name -> [shape in the file, shape wanted].
        ignored: names in the file that belong to no model (optimizer states and the like).
        checked: whether the kind has a fixed list of tensors to compare with.
    """

    name: str
    kind: str
    found: str
    format: str
    layout: str
    config: dict[str, Any]
    schedule: tuple[float, ...]
    parameters: int
    tensors: int
    dtypes: dict[str, int]
    size: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: dict[str, Any]
    ignored: tuple[str, ...]
    checked: bool

    @property
    def complete(self) -> bool:
        """Recognised, and exactly the tensors of its network where that is known."""
        return self.kind != Kind.UNKNOWN.value and not (self.missing or self.unexpected or self.misshapen)

    def to_json(self) -> str:
        """All findings as a JSON object."""
        return json.dumps(asdict(self) | {"complete": self.complete}, indent=2)

    def to_text(self) -> str:
        """All findings as lines for people."""
        dtypes = ", ".join(f"{dtype} {count / self.parameters:.1%}" for dtype, count in self.dtypes.items() if count)
        rows = [
            ("file", f"{self.name}, {_decimal(self.size, 'B')}, {self.format}, {self.layout}"),
            ("kind", f"{self.kind}: {self.found}"),
            ("configuration", ", ".join(f"{name} {value}" for name, value in self.config.items())),
            ("schedule", ", ".join(f"{sigma:g}" for sigma in self.schedule)),
            ("parameters", f"{self.parameters:,} ({_decimal(self.parameters, '')}) in {self.tensors} tensors"),
            ("dtypes", dtypes),
            ("missing", _shortened(self.missing)),
            ("unexpected", _shortened(self.unexpected)),
            (
                "wrong shape",
                _shortened([f"{name} {had} instead of {want}" for name, (had, want) in self.misshapen.items()]),
            ),
            ("ignored", _shortened(self.ignored)),
            ("complete", ("yes" if self.complete else "no") if self.checked else ""),
        ]
        return "\n".join(f"{title + ':':15}{text}" for title, text in rows if text)


def inspect(path: str | Path) -> Inspection:
    """Look at a file or folder of weights; nothing of it is run, and only its list of tensors is loaded.

    Raises:
        InputError: unreadable, damaged or malicious.
    """
    checkpoint = open_checkpoint(path)
    file, weights = checkpoint.file, checkpoint.weights
    differences = differences_of(checkpoint)
    found = differences or Differences((), (), {})
    dtypes: dict[str, int] = {}
    for name in weights:
        spec = checkpoint.stored.spec(name) if name in checkpoint.stored else weights.spec(name)
        dtypes[str(spec.dtype).removeprefix("torch.")] = (
            dtypes.get(str(spec.dtype).removeprefix("torch."), 0) + spec.numel
        )
    return Inspection(
        name=file.label,
        kind=checkpoint.kind.value,
        found=checkpoint.describe(),
        format=file.format,
        layout=checkpoint.layout.describe(),
        config=as_table(checkpoint.config),
        schedule=checkpoint.own.schedule,
        parameters=sum(dtypes.values()),
        tensors=len(file),
        dtypes=dict(sorted(dtypes.items(), key=lambda item: -item[1])),
        size=file.size,
        missing=found.missing,
        unexpected=found.unexpected,
        misshapen={name: [list(had), list(want)] for name, (had, want) in found.misshapen.items()},
        ignored=checkpoint.layout.ignored,
        checked=differences is not None,
    )


def _shortened(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:LISTED])
    return f"{len(names)}: {shown}{', ...' if len(names) > LISTED else ''}" if names else ""


def _decimal(count: int, unit: str) -> str:
    """For example 28.59 GB; parameters count in B."""
    for factor, letter in ((10**9, "G" if unit else "B"), (10**6, "M"), (10**3, "k")):
        if count >= factor:
            return f"{count / factor:.2f} {letter}{unit}"
    return f"{count} {unit}".strip()
