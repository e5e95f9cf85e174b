"""Every shipped workflow fits the schemas, exists in both formats, and comes with its thumbnail."""

from __future__ import annotations

import copy
import json

import pytest
from PIL import Image

from ..nodes.stand_in import object_info
from .graph import FOLDER, problems, stock_nodes, to_api

INFO = {**stock_nodes(), **object_info()}
FILES = sorted(FOLDER.glob("*.json"))


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
