"""What users are told: one type, one sentence, with a remedy."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lipforcing.errors import InputError

ROOT = Path(__file__).parent.parent


def messages(path: Path) -> list[tuple[int, str]]:
    """Texts of every InputError that is raised in a file, where they are written out; values stand as 0."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError":
            (message,) = node.args
            parts = message.values if isinstance(message, ast.JoinedStr) else [message]
            if all(isinstance(part, (ast.Constant, ast.FormattedValue)) for part in parts):
                found.append(
                    (
                        node.lineno,
                        "".join(
                            getattr(part, "value", "") if isinstance(part, ast.Constant) else "0" for part in parts
                        ),
                    )
                )
    return found


FILES = [path for room in ("lipforcing", "nodes") for path in sorted((ROOT / room).rglob("*.py"))]
SAID = [(path, line, text) for path in FILES for line, text in messages(path)]


def test_the_messages_are_found():
    assert len(SAID) > 150


@pytest.mark.parametrize("path", sorted({path for path, *_ in SAID}), ids=lambda path: path.stem)
def test_a_message_is_one_line_that_says_something(path):
    for where, line, text in SAID:
        if where == path:
            assert "\n" not in text and "  " not in text and len(text.split()) > 3, f"{path}:{line}: {text}"


def test_callers_who_know_python_alone_catch_it_too():
    with pytest.raises(ValueError, match="what was found"):
        raise InputError("what was found")
