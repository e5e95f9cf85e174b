"""A real ComfyUI for the host tests: where to find one, how to start it headless, how to talk to it.

Standard library only, so that these tests run from any Python; the server has its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .websocket import WebSocket

PACK = Path(__file__).resolve().parents[2]
# Hosts give a pack whatever folder name the user's installer chose; this one is no identifier on purpose.
PACK_FOLDER = "lip-forcing.under-test"
HOST_PACKAGES = ("aiohttp", "alembic", "av", "comfy_kitchen", "comfyui_frontend_package", "torch", "torchsde")


def find_host() -> Path | None:
    """COMFYUI_PATH, else the host this pack is installed in, else comfy-cli's default workspace."""
    named = os.environ.get("COMFYUI_PATH")
    candidates = [Path(named)] if named else [PACK.parent.parent, Path.home() / "comfy" / "ComfyUI"]
    return next((path for path in candidates if (path / "comfyui_version.py").is_file()), None)


def find_python(host: Path) -> str | None:
    """COMFYUI_PYTHON, else the first Python that has the host's packages: this one, or a virtual environment nearby."""
    named = os.environ.get("COMFYUI_PYTHON")
    if named:
        return named
    folders = [parent / name for parent in (host, host.parent) for name in (".venv", "venv", "python_embeded")]
    inner = ("bin/python", "Scripts/python.exe", "python.exe")
    nearby = [str(path) for folder in folders for path in (folder / name for name in inner) if path.is_file()]
    probe = f"import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, {HOST_PACKAGES})))"
    for python in [sys.executable, *nearby]:
        if subprocess.run([python, "-c", probe], check=False).returncode == 0:
            return python
    return None


def make_base(base: Path) -> Path:
    """Lay out a host's base directory at `base` with this pack among its custom nodes; returns the pack's folder."""
    for name in ("custom_nodes", "input", "output", "temp", "user", "models/detection"):
        (base / name).mkdir(parents=True)
    pack = base / "custom_nodes" / PACK_FOLDER
    try:
        pack.symlink_to(PACK, target_is_directory=True)
    except OSError:  # Windows without the privilege to make links
        shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns(".git", "__pycache__", "tests", ".venv*"))
    return pack


def server_environment() -> dict[str, str]:
    """This process's environment, less what would let the server import the engine from anywhere but the pack."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


class RequestRefused(Exception):
    """The server answered with an HTTP error; `status` is its code, `body` the decoded JSON."""

    def __init__(self, status: int, body: dict):
        super().__init__(f"{status}: {json.dumps(body)[:2000]}")
        self.status, self.body = status, body


@dataclass
class Run:
    """What one queued prompt did: the WebSocket messages about it in order, and the preview images as bytes."""

    prompt_id: str
    messages: list[dict] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[dict]:
        return [message["data"] for message in self.messages if message["type"] == kind]

    @property
    def outcome(self) -> str:
        """ "success", "error" or "interrupted"."""
        ends = ("execution_success", "execution_error", "execution_interrupted")
        return next(m["type"] for m in self.messages if m["type"] in ends).removeprefix("execution_")

    @property
    def error(self) -> dict:
        return self.of("execution_error")[0]

    @property
    def cached(self) -> set[str]:
        """Ids of the nodes that were not run again."""
        return {node for data in self.of("execution_cached") for node in data["nodes"]}


class Server:
    """A headless host on the CPU in a base directory of its own."""

    def __init__(self, host: Path, python: str, base: Path):
        self.base = base
        self.pack = make_base(base)
        self.log_path = base / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [python, "main.py", "--cpu", "--base-directory", str(base), "--port", str(self.port)]
        command += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=host, stdout=log, stderr=subprocess.STDOUT, env=server_environment()
            )

    def wait_until_up(self, seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                self.get("/system_stats")
                return
            time.sleep(0.3)
        raise RuntimeError(f"ComfyUI did not come up:\n{self.log[-4000:]}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def request(self, path: str, body: dict | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise RequestRefused(error.code, json.loads(error.read() or b"{}")) from None

    def get(self, path: str) -> dict:
        return json.loads(self.request(path))

    @contextlib.contextmanager
    def listen(self, client_id: str) -> Iterator[WebSocket]:
        connection = WebSocket("127.0.0.1", self.port, f"/ws?clientId={client_id}")
        try:
            connection.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
            yield connection
        finally:
            connection.close()

    def queue(self, prompt: dict, client_id: str) -> str:
        return json.loads(self.request("/prompt", {"prompt": prompt, "client_id": client_id}))["prompt_id"]

    def run(self, prompt: dict, on_message=None) -> Run:
        """Queue `prompt` and follow it to its end; `on_message(message)` sees every JSON message on the way."""
        client_id = uuid.uuid4().hex
        with self.listen(client_id) as connection:
            run = Run(self.queue(prompt, client_id))
            while True:
                frame = connection.receive()
                if isinstance(frame, bytes):
                    kind = int.from_bytes(frame[:4], "big")
                    if kind == 4:  # preview with metadata
                        run.previews.append(frame[8 + int.from_bytes(frame[4:8], "big") :])
                    elif kind == 3:  # text for a node
                        run.texts.append(frame[8 + int.from_bytes(frame[4:8], "big") :].decode())
                    continue
                message = json.loads(frame)
                if message.get("data", {}).get("prompt_id") != run.prompt_id:
                    continue
                run.messages.append(message)
                if on_message is not None:
                    on_message(message)
                # Comes last, when the history has its entry too.
                if message["type"] == "executing" and message["data"]["node"] is None:
                    return run

    def saved_file(self, run: Run, node: str) -> Path:
        """The first file that output node `node` saved in `run`."""
        entry = self.get(f"/history/{run.prompt_id}")[run.prompt_id]["outputs"][node]["images"][0]
        return self.base / entry["type"] / entry["subfolder"] / entry["filename"]

    def own_temp_files(self) -> set[str]:
        """Names of the files this pack has in the host's temporary folder."""
        return {path.name for path in (self.base / "temp").rglob("*") if "lipforcing_" in path.name}
