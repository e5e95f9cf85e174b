"""Pickles read as data: the instructions are followed on paper and nothing is ever imported, created or called.

A pickle is a program for a small stack machine. ``read_pickle`` runs that machine with containers, numbers and text
only; where the program names a class or function, it gets a ``Global``, and where it would call one, an ``Instance``
that notes the call. Readers of checkpoints look up the few calls they understand (a tensor over a storage) and ignore
the others. Names outside a short list of harmless types are refused, because a checkpoint has no need for them and
the same file opened elsewhere would run them.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import InputError

PICKLE_BYTES = 64 << 20  # the pickle of the largest checkpoint, sharded over 64 ranks, is about half of it
MAX_OPERATIONS = 6_000_000
PICKLE_START = b"\x80"

DICT_TYPES = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"}
HARMLESS = DICT_TYPES | {
    "collections.Counter",
    "builtins.set",
    "builtins.frozenset",
    "builtins.list",
    "builtins.tuple",
    "builtins.int",
    "builtins.float",
    "builtins.str",
    "builtins.bool",
    "builtins.complex",
    "builtins.bytearray",
    "__builtin__.set",
    "__builtin__.list",
    "__builtin__.long",
    "_codecs.encode",
    "argparse.Namespace",
    "types.SimpleNamespace",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "copyreg._reconstructor",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "torch.Size",
    "torch.Tensor",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch.storage.UntypedStorage",
    "torch.storage.TypedStorage",
}
HARMLESS_PREFIXES = ("torch._utils._rebuild_", "torch._tensor._rebuild_from_type", "torch.distributed.checkpoint.")


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names, as ``module.name``."""

    name: str


@dataclass(eq=False)
class Instance:
    """An object that the pickle describes: what would be called, with what, and the state put into it."""

    type: str
    args: tuple
    state: object = None


@dataclass(frozen=True, eq=False)
class Reference:
    """A persistent id: in checkpoints, a storage outside the pickle."""

    id: object


class _Mark:
    pass


def is_harmless(name: str) -> bool:
    """Whether a checkpoint may name this class or function: containers, numbers, paths and torch's tensor parts."""
    if name in HARMLESS or name.startswith(HARMLESS_PREFIXES):
        return True
    module, _, last = name.rpartition(".")
    if module not in ("torch", "torch.cuda"):
        return False
    return last.endswith("Storage") or isinstance(getattr(torch, last, None), torch.dtype)


def read_pickle(data: bytes, label: str) -> tuple[object, int]:
    """Contents of the first pickle in ``data`` and the number of bytes it takes.

    Args:
        data: at most ``PICKLE_BYTES`` of a file, starting with a pickle of protocol 2 or later.
        label: how to call the file in messages.

    Returns:
        Dicts, lists, tuples, numbers, text, and ``Global``, ``Instance`` and ``Reference`` for everything else.

    Raises:
        InputError: damaged, too complicated to be a checkpoint, or naming something that is not on the list.
    """
    stream = io.BytesIO(data)
    machine = _Machine(label)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MAX_OPERATIONS:
                raise InputError(f"{label} has a pickle of more than {MAX_OPERATIONS} steps, which no checkpoint needs")
            if opcode.name == "STOP":
                return machine.pop(), stream.tell()
            machine.step(opcode.name, argument)
    except InputError:
        raise
    # The machine has no checks of its own: a damaged program runs into one of these.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise InputError(
            f"{label} is damaged: its pickle cannot be read ({type(error).__name__}: {str(error)[:100]}); "
            "copy or download it again"
        ) from None
    raise InputError(f"{label} is truncated: its pickle has no end; copy or download it again")


class _Machine:
    """Stack, marks and memo of the pickle machine."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.stack: list = []
        self.memo: dict[int, object] = {}

    def pop(self) -> object:
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise ValueError("a mark where a value is expected")
        return value

    def pop_to_mark(self) -> list:
        items: list = []
        while not isinstance(value := self.stack.pop(), _Mark):
            items.append(value)
        items.reverse()
        return items

    def name(self, module: object, name: object) -> Global:
        full = f"{module}.{name}"
        if not is_harmless(full):
            raise InputError(
                f"{self.label} asks to run {full[:100]!r}, which is not tensor data; nothing of it was run. "
                "Get the file from a trusted source, or have its author save a plain state dict or safetensors"
            )
        return Global(full)

    def step(self, operation: str, argument: object) -> None:
        """Carry out one instruction."""
        if operation in _CONSTANTS:
            self.stack.append(_CONSTANTS[operation]())
        elif operation in _VALUES:
            self.stack.append(argument)
        elif operation in ("PROTO", "FRAME"):
            pass
        else:
            _STEPS[operation](self, argument)

    def global_(self, argument: object) -> None:
        module, _, name = str(argument).partition(" ")
        self.stack.append(self.name(module, name))

    def stack_global(self, _: object) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(self.name(module, name))

    def reduce(self, _: object) -> None:
        args, function = self.pop(), self.pop()
        self.stack.append(_call(function, args))

    def new_with_keywords(self, _: object) -> None:
        self.pop()
        self.reduce(_)

    def inst(self, argument: object) -> None:
        args = tuple(self.pop_to_mark())
        self.global_(argument)
        self.stack.append(_call(self.pop(), args))

    def build(self, _: object) -> None:
        state, target = self.pop(), self.stack[-1]
        # An ordered state dict carries attributes (its _metadata); they are of no use here.
        if isinstance(target, Instance):
            target.state = state

    def mark(self, _: object) -> None:
        self.stack.append(_Mark())

    def put(self, index: object) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: object) -> None:
        self.stack.append(self.memo[index])

    def memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def append(self, _: object) -> None:
        value = self.pop()
        self.extend([value])

    def appends(self, _: object) -> None:
        self.extend(self.pop_to_mark())

    def extend(self, values: list) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def set_item(self, _: object) -> None:
        value, key = self.pop(), self.pop()
        self.update([key, value])

    def set_items(self, _: object) -> None:
        self.update(self.pop_to_mark())

    def update(self, items: list) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            return
        for key, value in zip(items[::2], items[1::2], strict=True):
            _check_key(key)
            target[key] = value

    def tuple_(self, _: object) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def list_(self, _: object) -> None:
        self.stack.append(self.pop_to_mark())

    def dict_(self, _: object) -> None:
        items = self.pop_to_mark()
        self.stack.append({})
        self.update(items)

    def short_tuple(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def reference(self, _: object) -> None:
        self.stack.append(Reference(self.pop()))


def _call(function: object, args: object) -> object:
    if not isinstance(function, Global) or not isinstance(args, tuple):
        raise ValueError("a call of something that is not a name")
    if function.name in DICT_TYPES:
        # Python 2 passes an OrderedDict's items to its constructor.
        return _dict(args[0]) if args and isinstance(args[0], list) else {}
    if function.name == "torch.Size" and args and isinstance(args[0], tuple):
        return args[0]
    return Instance(function.name, args)


def _dict(pairs: list) -> dict:
    """A dict of [key, value] pairs."""
    items = {}
    for key, value in pairs:
        _check_key(key)
        items[key] = value
    return items


def _check_key(key: object) -> None:
    # Nested tuples as keys would be hashed recursively, without a limit on the depth.
    if not isinstance(key, (str, int, float, bytes, Instance, type(None))):
        raise ValueError(f"a {type(key).__name__} as a key")


_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_VALUES = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "LONG4",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
}
_STEPS: dict[str, Callable[[_Machine, object], None]] = {
    "GLOBAL": _Machine.global_,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "INST": _Machine.inst,
    "BUILD": _Machine.build,
    "MARK": _Machine.mark,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "MEMOIZE": _Machine.memoize,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "TUPLE": _Machine.tuple_,
    "TUPLE1": lambda machine, _: machine.short_tuple(1),
    "TUPLE2": lambda machine, _: machine.short_tuple(2),
    "TUPLE3": lambda machine, _: machine.short_tuple(3),
    "LIST": _Machine.list_,
    "DICT": _Machine.dict_,
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_to_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "BINPERSID": _Machine.reference,
}
