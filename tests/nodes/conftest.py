"""The pack in a stand-in of the host with model folders."""

from __future__ import annotations

import importlib

import pytest

from .stand_in import LOADED_AS, load_pack


@pytest.fixture
def pack(monkeypatch, tmp_path):
    """Modules of the pack by name, with model folders in a temporary one."""
    load_pack()
    host = importlib.import_module(f"{LOADED_AS}.nodes.host")
    for category in ("text_encoders", "audio_encoders", "diffusion_models", "vae"):
        (tmp_path / category).mkdir()

    def path(category: str, name: str) -> str | None:
        return str(tmp_path / category / name) if (tmp_path / category / name).exists() else None

    monkeypatch.setattr(host, "model_names", lambda category: sorted(p.name for p in (tmp_path / category).iterdir()))
    monkeypatch.setattr(host, "model_folder", lambda category: str(tmp_path / category))
    monkeypatch.setattr(host, "model_path", path)
    return lambda name: importlib.import_module(f"{LOADED_AS}.{name}")
