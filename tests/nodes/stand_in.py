"""The part of the host's node API that schemas need, so that they can be checked where no ComfyUI is installed.

Strict about keywords, because an unknown one makes a whole pack disappear from an older host. Nothing runs in here:
behaviour is for the host tests. `object_info()` gives what a server answers for our nodes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
LOADED_AS = "pack_under_test"

_COMMON = {"display_name", "optional", "tooltip", "lazy", "advanced", "extra_dict", "raw_link"}
_WIDGET = _COMMON | {"default", "socketless", "force_input"}
_NUMBER = _WIDGET | {"min", "max", "step", "display_mode"}
_OPTIONS = {
    "INT": _NUMBER | {"control_after_generate"},
    "FLOAT": _NUMBER | {"round"},
    "BOOLEAN": _WIDGET | {"label_on", "label_off"},
    "STRING": _WIDGET | {"multiline", "placeholder", "dynamic_prompts"},
    "COMBO": _WIDGET | {"options", "upload", "image_folder"},
}


def _input_class(io_type: str, allowed: set[str] | None = None) -> type:
    allowed = allowed or _OPTIONS.get(io_type, _COMMON)

    class Input:
        def __init__(self, id: str, **options):
            unknown = set(options) - allowed
            if unknown:
                raise TypeError(f"{io_type} input {id!r} has no option {sorted(unknown)}")
            self.id, self.io_type = id, io_type
            self.optional = options.pop("optional", False)
            self.options = {key: value for key, value in options.items() if value is not None}

        def entry(self) -> tuple:
            later = {"advanced": True} if getattr(self, "advanced", False) else {}
            return (self.io_type, {**self.options, **later})

    return Input


def _output_class(io_type: str) -> type:
    class Output:
        def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
            self.id, self.name, self.tooltip, self.io_type = id, display_name or id or io_type, tooltip, io_type

    return Output


def _comfy_type(io_type: str, allowed: set[str] | None = None):
    return types.SimpleNamespace(
        io_type=io_type, Type=object, Input=_input_class(io_type, allowed), Output=_output_class(io_type)
    )


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_output_node: bool = False
    is_experimental: bool = False
    is_deprecated: bool = False
    not_idempotent: bool = False
    has_intermediate_output: bool = False


class ComfyNode:
    pass


class ComfyExtension:
    async def on_load(self) -> None:
        pass


class NodeOutput:
    def __init__(self, *args, ui=None):
        self.args, self.ui = args, ui


class MultiType:
    """One socket for values of several types."""

    class Input(_input_class("MULTI")):
        def __init__(self, id, types, **options):
            super().__init__(id, **options)
            self.io_type = ",".join(kind.io_type for kind in types)


def _io() -> types.SimpleNamespace:
    names = ["Boolean", "Int", "Float", "String", "Combo", "Image", "Mask", "Latent", "Audio", "Video", "Model", "Vae"]
    names += ["Clip", "Conditioning", "Sigmas"]
    known = {name: _comfy_type(name.upper()) for name in names}
    known["AudioEncoder"] = _comfy_type("AUDIO_ENCODER")
    known["BoundingBox"] = _comfy_type("BOUNDING_BOX", _WIDGET)
    hidden = types.SimpleNamespace(unique_id="UNIQUE_ID", prompt="PROMPT", extra_pnginfo="EXTRA_PNGINFO")
    return types.SimpleNamespace(
        **known,
        MultiType=MultiType,
        Custom=_comfy_type,
        Schema=Schema,
        ComfyNode=ComfyNode,
        NodeOutput=NodeOutput,
        Hidden=hidden,
    )


def load_pack() -> types.ModuleType:
    """The pack, loaded as a host loads it: from its folder, under a name of the loader's choosing."""
    if LOADED_AS in sys.modules:
        return sys.modules[LOADED_AS]
    latest = types.ModuleType("comfy_api.latest")
    latest.ComfyExtension, latest.io = ComfyExtension, _io()
    folders = types.ModuleType("folder_paths")
    folders.get_filename_list = lambda category: []
    sys.modules.setdefault("folder_paths", folders)
    sys.modules.setdefault("comfy_api", types.ModuleType("comfy_api"))
    sys.modules.setdefault("comfy_api.latest", latest)
    spec = importlib.util.spec_from_file_location(LOADED_AS, PACK / "__init__.py")
    module = sys.modules[LOADED_AS] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def node_classes() -> list[type]:
    """The classes the pack offers."""
    return asyncio.run(load_pack().comfy_entrypoint().get_node_list())


def object_info() -> dict[str, dict]:
    """Per node id what a server's `/object_info` says of it, as far as workflows depend on it."""
    info = {}
    for node in node_classes():
        schema = node.define_schema()
        groups = {"required": {}, "optional": {}}
        for entry in schema.inputs:
            groups["optional" if entry.optional else "required"][entry.id] = entry.entry()
        info[schema.node_id] = {
            "input": groups,
            "input_order": {group: list(entries) for group, entries in groups.items()},
            "output": [output.io_type for output in schema.outputs],
            "output_name": [output.name for output in schema.outputs],
            "output_tooltips": [output.tooltip for output in schema.outputs],
            "display_name": schema.display_name,
            "description": schema.description,
            "category": schema.category,
            "output_node": schema.is_output_node,
        }
    return info
