"""The running prompt, in API format: what is behind an input, and who looks at an output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Graph = dict[str, dict[str, Any]]


def is_link(value: Any) -> bool:
    """Whether the value of an input is a wire: id of a node and number of its output."""
    return isinstance(value, list) and len(value) == 2


def feeds(graph: Graph, node: dict, name: str) -> dict:
    """The node that is connected to an input of `node`; an empty one where that is no link."""
    link = node.get("inputs", {}).get(name)
    return graph.get(link[0], {}) if is_link(link) else {}


def behind(
    graph: Graph, node: str, name: str, through: Callable[[dict], bool] = lambda _: True
) -> Iterator[tuple[str, dict]]:
    """Ids and nodes behind an input of a node, the nearest first; what feeds a node only where that lets it `through`.

    Args:
        graph: the running prompt.
        node: id in there.
        name: of the input.
        through: asked of each node.
    """
    waiting, seen = [graph.get(node, {}).get("inputs", {}).get(name)], set()
    while waiting:
        link = waiting.pop(0)
        if not is_link(link) or link[0] in seen or link[0] not in graph:
            continue
        seen.add(link[0])
        source = graph[link[0]]
        yield link[0], source
        if through(source):
            waiting += source["inputs"].values()


def looked_at(graph: Graph, node: str, output: int) -> bool:
    """Whether an output of a node is connected to anything."""
    return any([node, output] == value for other in graph.values() for value in other.get("inputs", {}).values())
