"""Pickles read as data: nothing that they name is imported, made or called.

A pickle is a program for a small stack machine. Here the standard library's machine runs it with containers, numbers
and text only: a class or function that the program names becomes a ``Named``, and so does the result of calling it,
unless the reader has a function of its own to take its place. Names outside a short list of harmless types are refused,
because a checkpoint has no need for them and the same file opened elsewhere would run them.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..errors import InputError
from .released import damaged
from .storage import File

PICKLE_BYTES = 64 << 20  # the pickle of the largest checkpoint, sharded over 64 ranks, is about half of it
PICKLE_START = b"\x80"
MAX_STEPS = 6_000_000
NEVER = pickle.INST + pickle.OBJ + pickle.NEWOBJ_EX + pickle.EXT1 + pickle.EXT2 + pickle.EXT4  # make objects directly

HARMLESS = {
    "collections": "OrderedDict defaultdict Counter",
    "builtins": "dict set frozenset list tuple int float str bool complex bytearray",
    "__builtin__": "dict set list long",
    "_codecs": "encode",
    "argparse": "Namespace",
    "types": "SimpleNamespace",
    "pathlib": "Path PosixPath WindowsPath PurePosixPath PureWindowsPath",
    "pathlib._local": "PosixPath WindowsPath",
    "copyreg": "_reconstructor",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "scalar _reconstruct",
    "numpy._core.multiarray": "scalar _reconstruct",
    "torch": "Size Tensor device",
    "torch.nn.parameter": "Parameter",
    "torch.serialization": "_get_layout",
    "torch.storage": "UntypedStorage TypedStorage",
    "torch.distributed.checkpoint.filesystem": "_StorageInfo",
}
HARMLESS_STARTS = (
    "torch._utils._rebuild_",
    "torch._tensor._rebuild_from_type",
    "torch.distributed.checkpoint.metadata.",
)


@dataclass(eq=False)
class Named:
    """What the pickle names as ``module.name``: a class or function, or an object that a call of it would give.

    Attributes:
        name: in full.
        state: what would be put into the object.
    """

    name: str
    state: Any = None


def is_harmless(name: str) -> bool:
    """Whether a checkpoint may name this class or function: containers, numbers, paths and torch's tensor parts."""
    module, _, last = name.rpartition(".")
    if last in HARMLESS.get(module, "").split() or name.startswith(HARMLESS_STARTS):
        return True
    is_type = last.endswith("Storage") or isinstance(getattr(torch, last, None), torch.dtype)
    return module in ("torch", "torch.cuda") and is_type


def read_pickle(
    stream: io.BytesIO,
    file: File,
    calls: Mapping[str, Callable[..., object]] | None = None,
    persistent: Callable[[Any], object] = lambda reference: reference,
) -> Any:
    """The pickle at the stream's position, which moves behind it.

    Args:
        stream: at most ``PICKLE_BYTES`` of a file.
        file: where it comes from, for messages.
        calls: by full name, what takes the place of a class or function.
        persistent: what to put where the pickle refers to something outside (in checkpoints: a storage).

    Returns:
        Dicts, lists (also for tuples and sets), numbers, text, and ``Named`` for everything else.

    Raises:
        InputError: damaged, cut off, too complicated to be a checkpoint, or naming something that is not on the list.
    """
    start = stream.tell()
    try:
        # All lengths that the program states are compared with what is there before anything relies on them.
        for count, _ in enumerate(pickletools.genops(stream)):
            if count > MAX_STEPS:
                raise InputError(f"{file.label} has a pickle of more than {MAX_STEPS} steps, which no checkpoint needs")
        end = stream.tell()
        stream.seek(start)
        tree = _Unpickler(stream, file.label, calls or {}, persistent).load()
    except InputError:
        raise
    except Exception as error:  # a damaged program fails in arbitrary ways
        raise damaged(file, f"its pickle cannot be read ({str(error)[:100]})") from None
    stream.seek(end)
    return tree


def _dict(items: object = None) -> dict:
    """A dict, of items where Python 2 made it; these move, since many copies of one list would fill the memory."""
    taken = dict(items) if isinstance(items, list) else {}
    if taken:
        items.clear()
    return taken


DICTS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict")
CALLS = {**dict.fromkeys(DICTS, _dict), "torch.Size": lambda sizes=(): sizes}


class _Unpickler(pickle._Unpickler):
    """The standard library's machine (the one in Python) without the instructions that import, make or call.

    The one in C does not let them be replaced, and crashes or takes all memory on programs that are made for it.
    """

    def __init__(self, stream: io.BytesIO, label: str, calls: Mapping, persistent: Callable) -> None:
        super().__init__(stream, encoding="latin-1")
        self.label = label
        self.calls = {**CALLS, **calls}
        self.persistent_load = persistent

    def find_class(self, module: str, name: str) -> Named:
        full = f"{module}.{name}"
        if not is_harmless(full):
            raise InputError(
                f"{self.label} asks to run {full[:100]!r}, which is not tensor data; nothing of it was run. "
                "Get the file from a trusted source, or have its author save a plain state dict or safetensors"
            )
        return Named(full)

    def load_call(self) -> None:
        args, name = self.stack.pop(), self.stack.pop().name
        self.append(self.calls[name](*args) if name in self.calls else Named(name))

    def load_state(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Named):
            self.stack[-1].state = state

    def load_last(self, count: int) -> None:
        self.stack[-count:] = [self.stack[-count:]]

    dispatch: ClassVar = {
        **{code: load for code, load in pickle._Unpickler.dispatch.items() if code not in NEVER},
        **{pickle.REDUCE[0]: load_call, pickle.NEWOBJ[0]: load_call, pickle.BUILD[0]: load_state},
        # Lists for what is hashed by its content: a tuple nested a million deep, as a key, would overflow the C stack.
        **{pickle.TUPLE[0]: pickle._Unpickler.load_list, pickle.FROZENSET[0]: pickle._Unpickler.load_list},
        **{pickle.EMPTY_SET[0]: pickle._Unpickler.load_empty_list, pickle.ADDITEMS[0]: pickle._Unpickler.load_appends},
        pickle.TUPLE1[0]: lambda self: self.load_last(1),
        pickle.TUPLE2[0]: lambda self: self.load_last(2),
        pickle.TUPLE3[0]: lambda self: self.load_last(3),
    }
