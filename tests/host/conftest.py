"""The host, its Python and one running server for the whole session; everything here skips where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from .media import write_speech, write_video
from .server import Server, find_host, find_python


def pytest_collection_modifyitems(items):
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.host)


@pytest.fixture(scope="session")
def host() -> Path:
    found = find_host()
    if found is None:
        pytest.skip("no ComfyUI found (set COMFYUI_PATH)")
    return found


@pytest.fixture(scope="session")
def host_python(host) -> str:
    found = find_python(host)
    if found is None:
        pytest.skip(f"no Python with the packages of {host.name} found (set COMFYUI_PYTHON)")
    return found


@pytest.fixture(scope="session")
def server(host, host_python, tmp_path_factory):
    """A running server with the pack installed and the inputs `clip.mp4` and `speech.wav` in its input folder."""
    server = Server(host, host_python, tmp_path_factory.mktemp("comfy") / "base")
    try:
        write_video(server.base / "input" / "clip.mp4", frames=30)
        write_speech(server.base / "input" / "speech.wav", seconds=1.2)
        server.wait_until_up()
        yield server
    finally:
        server.stop()
