"""Converting a model file in the host's folder."""

from __future__ import annotations

import importlib

import pytest

from lipforcing.checkpoints import open_checkpoint
from lipforcing.tiny import family

from .stand_in import LOADED_AS, load_pack


@pytest.fixture
def node(monkeypatch, tmp_path):
    """The module, with a model folder that holds the tiny student; the bar's last report is in `node.bar`."""
    load_pack()
    module = importlib.import_module(f"{LOADED_AS}.nodes.convert")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "student.safetensors").write_bytes(family.weights_path("student").read_bytes())
    monkeypatch.setattr(module.host, "model_path", lambda category, name: str(tmp_path / name))
    monkeypatch.setattr(module.host, "model_folder", lambda category: str(tmp_path))
    module.bar = []
    monkeypatch.setattr(module.host, "progress_bar", lambda: lambda done, total, picture=None: module.bar.append(done))
    return module


def test_a_file_is_made_with_progress_and_never_replaced(node, tmp_path):
    run = node.LipForcingConvert.execute
    assert run("sub/student.safetensors", "fp8_e4m3fn", "").args == ("student_fp8.safetensors",)
    made = open_checkpoint(tmp_path / "student_fp8.safetensors")
    assert made.kind.value == "student" and node.bar == sorted(node.bar) and node.bar[-1] >= 1
    error = importlib.import_module(f"{LOADED_AS}.lipforcing.errors").InputError
    before = (tmp_path / "student_fp8.safetensors").read_bytes()
    with pytest.raises(error, match="is there already"):
        run("sub/student.safetensors", "bf16", "student_fp8")
    assert (tmp_path / "student_fp8.safetensors").read_bytes() == before


def test_cancelling_leaves_nothing(node, tmp_path, monkeypatch):
    def cancelled(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(node.host, "progress_bar", lambda: cancelled)
    with pytest.raises(KeyboardInterrupt):
        node.LipForcingConvert.execute("sub/student.safetensors", "bf16", "")
    assert [path.name for path in tmp_path.iterdir()] == ["sub"]


@pytest.mark.parametrize("name", ["../out", "a/b", "a\\b", ".hidden", "c:x"])
def test_a_name_that_leads_elsewhere_is_refused(node, name):
    error = importlib.import_module(f"{LOADED_AS}.lipforcing.errors").InputError
    with pytest.raises(error, match="no name for a file"):
        node.new_name("m.safetensors", "bf16", name)


@pytest.mark.parametrize(("source", "made"), [("a\\b.c.pth", "b.c_bf16.safetensors"), ("x.pth", "x_bf16.safetensors")])
def test_the_new_name(node, source, made):
    assert node.new_name(source, "bf16", " ") == made
