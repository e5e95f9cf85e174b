"""Workflow files: their two formats, and what is wrong with them according to the nodes' schemas.

`info` everywhere is what a server's `/object_info` answers: per node class its inputs in order, outputs and texts.
`stock_nodes.json` holds the part of it that concerns the host's own nodes used in our workflows, as the oldest
supported host has them.
"""

from __future__ import annotations

import json
from pathlib import Path

WIDGETS = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO"}
NOTES = {"Note", "MarkdownNote"}
HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "workflows"


def stock_nodes() -> dict:
    return json.loads((HERE / "stock_nodes.json").read_text(encoding="utf-8"))


def inputs_of(info: dict) -> dict[str, tuple[str, dict]]:
    """All inputs of a class in schema order: name -> (type, options)."""
    groups = [info["input"].get(group, {}) for group in ("required", "optional")]
    return {name: (entry[0], entry[1] if len(entry) > 1 else {}) for group in groups for name, entry in group.items()}


def slots_of(info: dict) -> list[str]:
    """What each position of `widgets_values` means; the browser adds some that the server never sees, named "+...".

    A widget with `control_after_generate` is followed by that choice, a file widget by its upload button; the audio
    loader has a player in between.
    """
    slots = []
    for name, (kind, options) in inputs_of(info).items():
        if kind not in WIDGETS:
            continue
        slots.append(name)
        if options.get("control_after_generate"):
            slots.append("+control")
        if options.get("audio_upload"):
            slots.append("+player")
        if any(key.endswith("_upload") for key in options):
            slots.append("+upload")
    return slots


def value_problem(kind: str, options: dict, value) -> str | None:
    """Why a server would refuse `value` for such a widget; None where it would not."""
    if kind == "COMBO":
        choices = options.get("options")
        return None if choices is None or value in choices else f"{value!r} is not one of {choices}"
    if kind in ("INT", "FLOAT"):
        if not isinstance(value, int if kind == "INT" else int | float) or isinstance(value, bool):
            return f"{value!r} is no {kind}"
        inside = options.get("min", value) <= value <= options.get("max", value)
        return None if inside else f"{value!r} is outside {options.get('min')}..{options.get('max')}"
    expected = {"STRING": str, "BOOLEAN": bool}[kind]
    return None if isinstance(value, expected) else f"{value!r} is no {kind}"


def problems(workflow: dict, info: dict) -> list[str]:
    """Everything in a graph-format workflow that does not fit the schemas, one sentence each."""
    found = []
    nodes = {node["id"]: node for node in workflow["nodes"]}
    if len(nodes) != len(workflow["nodes"]):
        found.append("two nodes share an id")
    if nodes and workflow["last_node_id"] < max(nodes):
        found.append("last_node_id is too small")
    for node in nodes.values():
        label = f"node {node['id']} ({node['type']})"
        if node["type"] in NOTES:
            continue
        if node["type"] not in info:
            found.append(f"{label}: no such class")
            continue
        found += [f"{label}: {problem}" for problem in _node_problems(node, info[node["type"]])]
    return [*found, *_link_problems(workflow, nodes), *_app_problems(workflow, nodes, info)]


def _node_problems(node: dict, info: dict):
    inputs = inputs_of(info)
    downloads = [model["name"] for model in node.get("properties", {}).get("models", [])]
    slots, values = slots_of(info), node.get("widgets_values", [])
    if len(slots) != len(values):
        yield f"{len(values)} widget values for the widgets {slots}"
    for slot, value in zip(slots, values):
        if not slot.startswith("+") and value not in downloads:
            problem = value_problem(*inputs[slot], value)
            if problem:
                yield f"{slot}: {problem}"
    for socket in node.get("inputs", []):
        if socket["name"] not in inputs or inputs[socket["name"]][0] != socket["type"]:
            yield f"no input {socket['name']} of type {socket['type']}"
    connected = {socket["name"] for socket in node.get("inputs", []) if socket.get("link") is not None}
    for name, entry in info["input"].get("required", {}).items():
        if entry[0] not in WIDGETS and name not in connected:
            yield f"required input {name} is not connected"
    if [output["type"] for output in node.get("outputs", [])] != info["output"]:
        yield f"outputs are {info['output']}"


def _link_problems(workflow: dict, nodes: dict):
    links = {link[0]: link for link in workflow["links"]}
    if len(links) != len(workflow["links"]):
        yield "two links share an id"
    if links and workflow["last_link_id"] < max(links):
        yield "last_link_id is too small"
    for key, (_, source, source_slot, target, target_slot, kind) in links.items():
        try:
            output, socket = nodes[source]["outputs"][source_slot], nodes[target]["inputs"][target_slot]
        except (KeyError, IndexError):
            yield f"link {key} ends nowhere"
            continue
        if output["type"] != kind or not {kind, "*"} & {*socket["type"].split(",")}:
            yield f"link {key} joins {output['type']} and {socket['type']} as {kind}"
        if key not in (output["links"] or []) or socket["link"] != key:
            yield f"link {key} is not known to both its ends"
    for node in nodes.values():
        used = [socket["link"] for socket in node.get("inputs", []) if socket.get("link") is not None]
        used += [key for output in node.get("outputs", []) for key in output["links"] or []]
        yield from (f"node {node['id']} uses a link {key} that is not there" for key in used if key not in links)


def _app_problems(workflow: dict, nodes: dict, info: dict):
    app = workflow.get("extra", {}).get("linearData")
    if app is None:
        yield "no app-mode inputs and outputs"
        return
    for key, widget in app["inputs"]:
        kind = nodes[key]["type"] if key in nodes else None
        if kind not in info or widget not in slots_of(info[kind]):
            yield f"app-mode input {widget} of node {key} does not exist"
    for key in app["outputs"]:
        kind = nodes[key]["type"] if key in nodes else None
        if kind not in info or not info[kind]["output_node"]:
            yield f"app-mode output {key} is no output node"


def to_api(workflow: dict, info: dict) -> dict:
    """The API format of a graph-format workflow, as the browser would queue it."""
    links = {link[0]: link for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES:
            continue
        entry = info[node["type"]]
        values = dict(zip(slots_of(entry), node.get("widgets_values", [])))
        inputs = {name: value for name, value in values.items() if not name.startswith("+")}
        for socket in node.get("inputs", []):
            if socket.get("link") is not None:
                link = links[socket["link"]]
                inputs[socket["name"]] = [str(link[1]), link[2]]
        title = node.get("title") or entry["display_name"]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
    return prompt
