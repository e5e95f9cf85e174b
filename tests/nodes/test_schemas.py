"""Every node's schema is complete and stays as saved workflows know it; its texts exist in every language."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from .stand_in import PACK, node_classes, object_info

INFO = object_info()
WIDGETS = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO"}


def inputs_of(info: dict) -> dict[str, tuple]:
    return {**info["input"]["required"], **info["input"]["optional"]}


@pytest.mark.parametrize("node", node_classes(), ids=lambda node: node.__name__)
def test_execute_takes_the_inputs_of_the_schema(node):
    schema = node.define_schema()
    parameters = inspect.signature(node.execute).parameters
    assert list(parameters) == [entry.id for entry in schema.inputs]
    for entry in schema.inputs:
        has_default = parameters[entry.id].default is not inspect.Parameter.empty
        assert has_default == entry.optional, f"{entry.id}: an optional input, and only that, has a default"


@pytest.mark.parametrize("name", INFO)
def test_ids_are_prefixed_and_unique(name):
    info = INFO[name]
    assert re.fullmatch(r"LipForcing[A-Za-z0-9]+", name)
    assert info["category"].split("/")[0] == "lip forcing"
    ids = list(inputs_of(info))
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in ids)


@pytest.mark.parametrize("name", INFO)
def test_everything_is_explained(name):
    info = INFO[name]
    assert info["display_name"] and info["description"].endswith(".")
    assert all(info["output_tooltips"]), "an output without a tooltip"
    for key, (kind, options) in inputs_of(info).items():
        tooltip = options.get("tooltip", "")
        assert tooltip.endswith("."), f"{key}: no tooltip, or not a sentence"
        if kind in ("INT", "FLOAT"):
            assert {"min", "max", "default"} <= set(options), f"{key}: no range or default"
            assert str(int(options["max"])) in tooltip.replace(",", ""), f"{key}: the tooltip does not state the range"


@pytest.mark.parametrize("name", INFO)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_texts_are_complete(name, language):
    texts = json.loads((PACK / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))[name]
    info = INFO[name]
    assert texts["display_name"] and texts["description"]
    assert list(texts["inputs"]) == list(inputs_of(info))
    assert [texts["outputs"][str(index)]["name"] for index in range(len(info["output"]))]
    if language == "en":
        assert texts["description"] == info["description"]
        for key, (_, options) in inputs_of(info).items():
            assert texts["inputs"][key]["tooltip"] == options["tooltip"]


@pytest.mark.parametrize("name", INFO)
def test_help_pages_name_every_input(name):
    for page in (PACK / "js" / "docs" / f"{name}.md", PACK / "js" / "docs" / name / "zh.md"):
        text = page.read_text(encoding="utf-8")
        assert text.startswith("# ")
        missing = [key for key in inputs_of(INFO[name]) if f"`{key}`" not in text]
        assert not missing, f"{page.name} does not mention {missing}"


def test_no_texts_of_nodes_that_are_gone():
    for language in ("en", "zh"):
        texts = json.loads((PACK / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
        assert set(texts) == set(INFO)
    assert {page.stem for page in (PACK / "js" / "docs").glob("*.md")} == set(INFO)


@pytest.mark.parametrize("loader", ["StudentLoader", "TeacherLoader", "SyncNetLoader"])
def test_loaders_list_no_file_that_is_not_there(loader):
    """From what a loader lists the front end sees that a workflow's file is missing; the stand-in has no files."""
    listed = {key: options["options"] for key, (_, options) in inputs_of(INFO[f"LipForcing{loader}"]).items()}
    assert listed.pop("model_name") == ["tiny (built in)"]
    assert listed.pop("adapter_name", ["none (merged file)"]) == ["none (merged file)"]
