"""What code and pages cite exists: sections of docs/, links, files."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from lipforcing.cli import build_parser

ROOT = Path(__file__).parent.parent
ROOMS = ("lipforcing", "nodes", "tests", "benchmarks", "tools", "docs")
CODE = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def headings(page: Path) -> list[str]:
    """Titles of a page's sections."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)


def anchor(heading: str) -> str:
    """The fragment under which a heading is reached: lower case, without punctuation, joined by hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_code_cites_sections_that_exist():
    """A citation is the path of a page, a comma and the title of a section, in a comment or docstring."""
    cited = 0
    for path in CODE:
        text = re.sub(r"\s*\n\s*(#:?\s)?\s*", " ", path.read_text(encoding="utf-8"))
        for found in re.finditer(r"\bdocs/(\w+\.md), (.{,60})", text):
            page = ROOT / "docs" / found[1]
            assert page.is_file() and found[2].startswith(tuple(headings(page))), f"{path}: {found[0]}"
            cited += 1
    assert cited > 20  # the pattern still finds them


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target, _, fragment in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]+))?\)", page.read_text(encoding="utf-8")):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{page.name}: {target}"
        if fragment:
            assert fragment in map(anchor, headings(linked)), f"{page.name}: {target}#{fragment}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_named_files_exist(page):
    """Paths in backticks that begin with a folder of the repository."""
    folders = r"`((?:lipforcing|nodes|js|tests|benchmarks|docs|workflows)/[\w./-]*)`"
    for path in re.findall(folders, page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def commands(page: Path) -> list[tuple[str, str]]:
    """Every ``lipforcing COMMAND ...`` that a page shows, in a block or in backticks: the command and the rest."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    shown = re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)
    found = re.finditer(r"(?:bin/|^|\| |-m )lipforcing ([a-z][\w-]*)([^|#\n]*)", "\n".join(shown), flags=re.MULTILINE)
    return [(one[1], one[2]) for one in found]


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "js/docs").rglob("*.md"))], ids=lambda path: path.stem)
def test_commands_and_their_options_exist(page):
    (actions,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    for command, rest in commands(page):
        assert command in actions.choices, f"{page.name}: lipforcing {command}"
        known = actions.choices[command]._option_string_actions
        for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", rest):
            assert option in known, f"{page.name}: lipforcing {command} {option}"


def test_commands_are_found_and_each_is_shown_somewhere():
    (actions,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert {command for page in PAGES for command, _ in commands(page)} == set(actions.choices)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_named_modules_exist(page):
    """What is to be run with ``python -m``."""
    for module in re.findall(r"python -m ((?:lipforcing|benchmarks|tools)[\w.]*)", page.read_text(encoding="utf-8")):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"{page.name}: {module}"


def test_tests_that_are_named_as_proof_exist():
    """In docs/behaviours.md: `path::name`, `module.name`, or a name alone."""
    known = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"^def ((?:test|check)_\w+)\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    page = (ROOT / "docs" / "behaviours.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:[\w/]+\.py::|\w+\.)?((?:test|check)_\w+)`", page)
    assert len(named) > 40 and [name for name in named if name not in known] == []


def test_behaviours_are_counted():
    page = (ROOT / "docs" / "behaviours.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| (holds|partly|fails|cannot be shown here) \|", page, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == [*range(1, 37)]
    counts = [sum(found == kind for _, found in rows) for kind in ("holds", "partly", "fails")]
    assert "{} hold, {} hold partly, {} fails".format(*counts) in page, counts
