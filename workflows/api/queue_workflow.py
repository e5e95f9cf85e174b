"""Queue an API workflow on a running ComfyUI, with your own video and audio, follow it, download all that it saves.

    python queue_workflow.py 2_video_to_video_14b.json --video me.mp4 --audio speech.wav --out synced.mp4
    python queue_workflow.py 1_try_it_now.json --audio speech.wav --set 2.seed=7

Needs aiohttp, which every ComfyUI's Python has. Files take the place of what Load Video, Load Audio or the first Lip
Forcing Sample give; `--set` changes any value, by node id and input. Of several results the first is named as `--out`
says, the others get their node's id behind it. What a server answers, and what this script says then:

- 400: the workflow does not fit (a node missing, a value out of range, a socket not connected); node, input and remedy
  are in the answer's `node_errors`.
- 413: the upload is larger than the server's `--max-upload-size` (100 MB by default).
- an `execution_error` message: a node failed on what it was given; its message says what to change.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from pathlib import Path

import aiohttp

LOADERS = {"LoadVideo": "file", "LoadAudio": "audio"}
SAMPLE = ["LoadVideo", "LoadAudio"]  # what takes the place of the sample's outputs


class Refused(Exception):
    """The server said no; the message is for the user."""


async def upload(session: aiohttp.ClientSession, path: Path) -> str:
    """Put a file into the server's input folder; returns the name under which loader nodes find it."""
    with path.open("rb") as file:
        form = aiohttp.FormData()
        form.add_field("image", file, filename=path.name)  # the server takes any media under this name
        async with session.post("/upload/image", data=form) as answer:
            if answer.status == 413:
                raise Refused(f"{path} is too large for this server; start it with a higher --max-upload-size.")
            answer.raise_for_status()
            stored = await answer.json()
    return "/".join(filter(None, (stored["subfolder"], stored["name"])))


def without_sample(workflow: dict, loader: str) -> dict:
    """The workflow with a node of class `loader` in place of what the first bundled sample gives, if it has one."""
    sample = next((key for key, node in workflow.items() if node["class_type"] == "LipForcingSample"), None)
    if sample is None or any(node["class_type"] == loader for node in workflow.values()):
        return workflow
    own, output = f"{sample}_{loader}", [sample, SAMPLE.index(loader)]

    def relinked(node: dict) -> dict:
        links = {name: [own, 0] for name, value in node["inputs"].items() if value == output}
        return {**node, "inputs": {**node["inputs"], **links}}

    return {key: relinked(node) for key, node in workflow.items()} | {own: {"class_type": loader, "inputs": {}}}


def with_value(workflow: dict, setting: str) -> dict:
    """The workflow with one value changed; `setting` is NODE.INPUT=VALUE, the value as JSON or as plain text."""
    place, _, text = setting.partition("=")
    key, _, name = place.partition(".")
    if key not in workflow or name not in workflow[key]["inputs"]:
        raise Refused(f"--set {setting}: the workflow has no input {name!r} of a node {key!r}.")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    node = workflow[key]
    return {**workflow, key: {**node, "inputs": {**node["inputs"], name: value}}}


def with_input(workflow: dict, loader: str, name: str) -> dict:
    """The workflow with the file `name` in its node of class `loader`."""
    workflow = without_sample(workflow, loader)
    found = [key for key, node in workflow.items() if node["class_type"] == loader]
    if len(found) != 1:
        raise Refused(f"the workflow has {len(found)} {loader} nodes; this script fills exactly one.")
    node = workflow[found[0]]
    return {**workflow, found[0]: {**node, "inputs": {**node["inputs"], LOADERS[loader]: name}}}


def check_complete(workflow: dict, given: dict, settings: list[str]) -> None:
    """Raise Refused where a workflow loads a file that nobody named; those it ships with are examples."""
    for key, node in workflow.items():
        loader = node["class_type"]
        place = f"{key}.{LOADERS.get(loader)}"
        if loader in LOADERS and not given[loader] and not any(one.startswith(f"{place}=") for one in settings):
            option = f"--{LOADERS[loader].replace('file', 'video')}"
            raise Refused(f"node {key} loads a file; give {option} FILE, or --set {place}=NAME for one on the server.")


async def queue(session: aiohttp.ClientSession, workflow: dict, client_id: str) -> str:
    """Submit; returns the prompt's id."""
    async with session.post("/prompt", json={"prompt": workflow, "client_id": client_id}) as answer:
        body = await answer.json()
        if answer.status == 400:
            lines = [body["error"]["message"]]
            for key, node in body["node_errors"].items():
                lines += [f"node {key} ({node['class_type']}): {e['message']}: {e['details']}" for e in node["errors"]]
            raise Refused("\n".join(lines))
        answer.raise_for_status()
        return body["prompt_id"]


async def follow(socket: aiohttp.ClientWebSocketResponse, prompt_id: str, workflow: dict) -> None:
    """Show progress until the prompt has ended."""
    async for frame in socket:
        if frame.type is not aiohttp.WSMsgType.TEXT:
            continue  # previews
        message = json.loads(frame.data)
        kind, data = message["type"], message["data"]
        if data.get("prompt_id") != prompt_id:
            continue
        if kind == "progress":
            sys.stderr.write(f"\r{workflow[data['node']]['class_type']}: {data['value']}/{data['max']}")
        elif kind == "execution_error":
            raise Refused(f"\nnode {data['node_id']} ({data['node_type']}): {data['exception_message'].strip()}")
        elif kind == "execution_interrupted":
            raise Refused("\nthe run was cancelled on the server.")
        elif kind == "executing" and data["node"] is None:
            sys.stderr.write("\n")
            return
    raise Refused("\nthe server closed the connection.")


async def download(session: aiohttp.ClientSession, prompt_id: str, out: Path) -> list[Path]:
    """Write all saved files of the prompt; each appears under its name only when it is complete."""
    async with session.get(f"/history/{prompt_id}") as answer:
        outputs = (await answer.json())[prompt_id]["outputs"]
    entries = [(node, entry) for node, ui in sorted(outputs.items()) for values in ui.values() for entry in values]
    saved = [(node, one) for node, one in entries if isinstance(one, dict) and one.get("type") == "output"]
    if not saved:
        raise Refused("the workflow saved no file; it needs a Save Video node.")
    written = []
    for node, entry in saved:
        place = out
        if written:
            place = out.with_name(f"{out.stem}_{node}{Path(entry['filename']).suffix}")
            number = sum(path.stem.startswith(place.stem) for path in written)
            place = place.with_stem(f"{place.stem}_{number}") if number else place
        await fetch(session, entry, place)
        written.append(place)
    return written


async def fetch(session: aiohttp.ClientSession, entry: dict, out: Path) -> None:
    """Write one file of the server."""
    async with session.get("/view", params=entry) as answer:
        answer.raise_for_status()
        part = out.with_name(f".{out.name}.part")
        try:
            with part.open("wb") as file:
                async for block in answer.content.iter_chunked(1 << 20):
                    file.write(block)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)


async def main(options: argparse.Namespace) -> None:
    workflow = json.loads(options.workflow.read_text(encoding="utf-8"))
    given = {"LoadVideo": options.video, "LoadAudio": options.audio}
    check_complete(workflow, given, options.set)
    for setting in options.set:
        workflow = with_value(workflow, setting)
    client_id = uuid.uuid4().hex
    unlimited = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(options.server, timeout=unlimited) as session:
        for loader, path in given.items():
            if path is not None:
                workflow = with_input(workflow, loader, await upload(session, path))
        # Listen before queueing, or the first messages are lost.
        async with session.ws_connect("/ws", params={"clientId": client_id}) as socket:
            prompt_id = await queue(session, workflow, client_id)
            await follow(socket, prompt_id, workflow)
        for path in await download(session, prompt_id, options.out):
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workflow", type=Path, help="workflow in API format")
    parser.add_argument("--video", type=Path, help="in place of what the workflow loads, or of the sample")
    parser.add_argument("--audio", type=Path, help="likewise")
    parser.add_argument("--out", type=Path, default=Path("synced.mp4"))
    parser.add_argument("--set", action="append", default=[], metavar="NODE.INPUT=VALUE", help="change a value")
    parser.add_argument("--server", default="http://127.0.0.1:8188")
    try:
        asyncio.run(main(parser.parse_args()))
    except Refused as refused:
        sys.exit(str(refused))
    except aiohttp.ClientConnectorError as error:
        sys.exit(f"no ComfyUI answers there ({error}); start it or give --server.")
