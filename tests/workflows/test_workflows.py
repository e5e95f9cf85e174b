"""Every shipped workflow fits the schemas, exists in both formats, and comes with its thumbnail."""

from __future__ import annotations

import copy
import itertools
import json
import re

import pytest
from PIL import Image

from ..nodes.stand_in import object_info
from .graph import FOLDER, problems, stock_nodes, to_api

INFO = {**stock_nodes(), **object_info()}
FILES = sorted(FOLDER.glob("*.json"))
PACK = FOLDER.parent


def load(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_graph_fits_the_schemas(path):
    assert problems(load(path), INFO) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_api_format_says_the_same(path):
    assert load(FOLDER / "api" / path.name) == to_api(load(path), INFO)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_thumbnail(path):
    with Image.open(path.with_suffix(".jpg")) as picture:
        assert picture.format == "JPEG" and min(picture.size) >= 256
    assert path.with_suffix(".jpg").stat().st_size < 200_000


TITLE, HEADER = 30, 34  # heights in pixels: a node's title, above its position; a group's, below its own


def areas(workflow: dict) -> dict[int, tuple[float, float, float, float]]:
    """What the nodes cover, titles included: left, top, right, bottom."""
    return {
        node["id"]: (x, y - TITLE, x + width, y + height)
        for node in workflow["nodes"]
        for (x, y), (width, height) in [(node["pos"], node["size"])]
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_graph_is_small_enough_to_open_readable(path):
    """The classic canvas draws no text below 57 %, and a template opens as large as three quarters of the window."""
    left, top, right, bottom = zip(*areas(load(path)).values())
    assert max(right) - min(left) <= 2300 and max(bottom) - min(top) <= 1030


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_covers_anything(path):
    workflow = load(path)
    nodes = areas(workflow)
    headers = {
        f"group {group['title']}": (x, y, x + width, y + HEADER)
        for group in workflow["groups"]
        for x, y, width, _ in [group["bounding"]]
    }
    covered = [
        (a, b)
        for (a, one), (b, other) in itertools.combinations([*nodes.items(), *headers.items()], 2)
        if min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])
    ]
    assert covered == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_template_is_a_new_workflow_every_time(path):
    """With an id of its own it would be taken for one that ran before, and show that run's numbers."""
    assert "id" not in load(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_notes_speak_both_languages(path):
    notes = [node["widgets_values"][0] for node in load(path)["nodes"] if node["type"] == "MarkdownNote"]
    assert len(notes) == 1
    english, _, chinese = notes[0].partition("\n---\n\n")
    assert english.startswith("## ") and len(re.findall("[\u4e00-\u9fff]", chinese)) > 40


def test_every_file_has_one_source():
    """A model is downloaded from the same place in all workflows, notes, help pages and the README."""
    sources: dict[str, set] = {}
    for path in FILES:
        for node in load(path)["nodes"]:
            for model in node.get("properties", {}).get("models", []):
                sources.setdefault(model["name"], set()).add(model["url"])
    assert sources["taew2_1.safetensors"] and all(len(urls) == 1 for urls in sources.values())
    texts = [*PACK.glob("js/docs/**/*.md"), *FILES, PACK / "README.md", PACK / "docs" / "weights.md"]
    (url,) = sources["taew2_1.safetensors"]
    for text in texts:
        for line in text.read_text(encoding="utf-8").splitlines():
            if "taew2_1" in line and "madebyollin" in line:
                pytest.fail(f"{text.name} names another source than {url}")


def test_api_folder_has_nothing_else():
    assert [path.name for path in sorted((FOLDER / "api").glob("*.json"))] == [path.name for path in FILES]


def test_no_folder_hides_the_templates():
    """Hosts mount examples/ and workflows/ of a pack at the same address, and the first one hides the other."""
    assert not (FOLDER.parent / "examples").exists()


def _edited(change) -> list[str]:
    workflow = copy.deepcopy(load(FILES[0]))
    ours = next(node for node in workflow["nodes"] if node["type"] == "LipForcingVideoToVideo")
    change(workflow, ours)
    return problems(workflow, INFO)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda w, node: node.update(type="LipForcingGone"), "no such class"),
        (lambda w, node: node["widgets_values"].pop(), "widget values for"),
        (lambda w, node: node["widgets_values"].reverse(), "seed:"),
        (lambda w, node: w["links"].pop(), "is not there"),
        (lambda w, node: node["inputs"][0].update(type="IMAGE"), "no input"),
        (lambda w, node: w["links"][0].__setitem__(3, 999), "ends nowhere"),
        (lambda w, node: w["extra"]["linearData"]["inputs"].append([node["id"], "nothing"]), "app-mode input"),
    ],
)
def test_the_check_sees_what_is_broken(change, expected):
    assert any(expected in problem for problem in _edited(change))
