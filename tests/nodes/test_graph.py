"""What a running prompt tells of the wires in it."""

from __future__ import annotations

import importlib

from .stand_in import LOADED_AS, load_pack

GRAPH = {
    "1": {"class_type": "LoadVideo", "inputs": {"file": "a.mp4"}},
    "2": {"class_type": "Trim", "inputs": {"video": ["1", 0], "again": ["3", 0], "list": [1, 2, 3]}},
    "3": {"class_type": "Loop", "inputs": {"video": ["2", 0]}},
    "4": {"class_type": "Sync", "inputs": {"video": ["2", 0], "audio": ["9", 0], "seed": 1}},
}


def graph():
    load_pack()
    return importlib.import_module(f"{LOADED_AS}.nodes.graph")


def test_behind_an_input_is_everything_that_feeds_it_once_and_the_nearest_first():
    assert [number for number, _ in graph().behind(GRAPH, "4", "video")] == ["2", "1", "3"]
    assert [*graph().behind(GRAPH, "4", "audio")] == [*graph().behind(GRAPH, "4", "seed")] == []
    assert [number for number, _ in graph().behind(GRAPH, "4", "video", lambda node: False)] == ["2"]


def test_an_output_is_looked_at_where_an_input_is_connected_to_it():
    assert graph().looked_at(GRAPH, "2", 0) and not graph().looked_at(GRAPH, "2", 1)
    assert not graph().looked_at({}, "2", 0)
