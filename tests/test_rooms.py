"""The house is as it is said to be: every room knows only those below it, and nothing stands in it unused."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "lipforcing"
MODULES = sorted(path for path in ENGINE.rglob("*.py") if path.name not in {"__init__.py", "__main__.py"})
USERS = [path for room in ("lipforcing", "nodes", "benchmarks") for path in (ROOT / room).rglob("*.py")]

MAY_IMPORT = {
    "errors": "",
    "timeline": "",
    "output": "errors",
    "models": "timeline",
    "codecs": "timeline errors",
    "audio": "timeline errors",
    "sampling": "models errors",
    "media": "audio output timeline errors",
    "checkpoints": "models codecs audio sampling output timeline errors",
    "faces": "media checkpoints timeline errors",
    "syncnet": "models audio faces media timeline errors",
    "text": "checkpoints errors",
    "stream": "models codecs audio sampling media checkpoints faces timeline errors",
    "session": "stream audio sampling media faces timeline errors",
    "live": "session stream media faces timeline errors",
    "pipeline": "session stream media faces audio timeline errors",
    "evaluation": "syncnet checkpoints faces media audio timeline errors",
    "report": "pipeline evaluation syncnet stream media models output timeline errors",
    "drawn": "audio timeline errors",
    "tiny": "pipeline stream syncnet checkpoints sampling faces media codecs audio models output timeline errors",
    "distill": "tiny drawn syncnet checkpoints faces media codecs audio models sampling timeline errors",
    "analysis": "distill tiny drawn evaluation syncnet faces media codecs audio models sampling timeline errors",
    "cli": (
        "analysis distill tiny drawn report evaluation pipeline live session text stream syncnet checkpoints faces "
        "media models audio output timeline errors"
    ),
}
"""Every room and those it may look into: lower ones all."""

AWAITED = {
    "velocity_to_eps": "reference conversion, in the golden set",
    "x0_to_velocity": "reference conversion, in the golden set",
    "eps_to_x0": "reference conversion, in the golden set",
    "unshift_time": "reference schedule, in the golden set; the distillation draws times with it",
    "sync_window_scale": "reference schedule, in the golden set; the distillation guides with it",
    "sample_causal": "the whole algorithm in one place, to which the stages are held",
    "speech_segments": "published function of the voice detector; measures of pauses need it",
}
"""Public names that only tests use so far, and why they stay."""

CALLED_FROM_OUTSIDE = {"find_class", "persistent_load", "_fields_"}
"""Names that the standard library asks for."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """Dotted name within the engine."""
    return ".".join(path.relative_to(ENGINE).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path, *, at_import_time: bool = False) -> Iterator[str]:
    """Dotted names within the engine that a module imports; relative ones, as all are in there."""
    package = [*path.relative_to(ENGINE).parent.parts]
    known = {name_of(other) for other in ENGINE.rglob("*.py")}

    def visit(node: ast.AST) -> Iterator[str]:
        if at_import_time and (
            isinstance(node, (ast.FunctionDef, ast.Lambda))
            or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ):
            return
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                module = ".".join([*base, alias.name])
                yield module if module in known else ".".join(base)
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(tree_of(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_has_a_test_of_its_name(path):
    inside = path.relative_to(ENGINE)
    assert (ROOT / "tests" / inside.parent / f"test_{inside.name}").is_file()


def test_every_room_is_in_the_table():
    assert {name_of(path).split(".")[0] for path in MODULES} <= set(MAY_IMPORT)


def test_the_table_goes_down():
    assert [*TopologicalSorter({room: may.split() for room, may in MAY_IMPORT.items()}).static_order()]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_looks_down_only(room):
    """Imports within functions count: they are for speed of starting, not for a look upwards. Types count too."""
    seen = {
        target.split(".")[0]
        for path in ENGINE.rglob("*.py")
        if name_of(path).split(".")[0] == room
        for target in imported(path)
    }
    assert seen - {room, ""} <= set(MAY_IMPORT[room].split())  # "": the engine's own name and version


def test_no_modules_import_in_a_circle():
    """What runs while modules are imported: a package counts as what its __init__ imports."""
    graph = {name_of(path): {*imported(path, at_import_time=True)} for path in ENGINE.rglob("*.py")}
    # a module may take from its own package what that imported before; that is no circle of modules
    graph = {name: {to for to in targets if not f"{name}.".startswith(f"{to}.")} for name, targets in graph.items()}
    assert len([*TopologicalSorter(graph).static_order()]) >= len(MODULES)


@pytest.mark.parametrize("path", [ENGINE / "__init__.py", *MODULES], ids=name_of)
def test_the_engine_knows_nothing_of_its_host(path):
    """Nor its own name: a host loads the folder under any."""
    hosts = {"comfy", "comfy_api", "comfy_extras", "folder_paths", "server", "nodes", "execution", "lipforcing"}
    for node in ast.walk(tree_of(path)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module]
        assert not hosts & {module.split(".")[0] for module in modules}, f"{path}:{node.lineno}"


def defined(body: list[ast.stmt]) -> Iterator[str]:
    """Names of functions, classes, methods, fields and constants."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
            if isinstance(node, ast.ClassDef):
                yield from defined(node.body)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def mentioned(tree: ast.AST) -> Iterator[str]:
    """Names that are read, called or given by keyword, and strings that could be names."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def unused() -> dict[str, str]:
    """Names that are defined in the engine and read nowhere but in tests, with their module."""
    uses = Counter(name for path in USERS for name in mentioned(tree_of(path)))
    return {
        name: name_of(path)
        for path in MODULES
        for name in defined(tree_of(path).body)
        if not uses[name] and not name.startswith("__") and name not in CALLED_FROM_OUTSIDE
    }


def test_nothing_stands_unused():
    assert unused().keys() <= AWAITED.keys()


def test_what_is_awaited_has_not_come_yet():
    assert not AWAITED.keys() - unused().keys(), "used now, or gone: take it off the list"
