"""New files: refused before any work, whole or not there at all."""

from __future__ import annotations

import errno
import io
import os

import pytest

from lipforcing import output
from lipforcing.errors import InputError
from lipforcing.output import check_new_file, new_file, temporary_beside, writing


def test_a_file_appears_whole_and_replaces_the_one_before(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with new_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.parent == tmp_path
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_not_finished_vanishes(tmp_path, error):
    with pytest.raises(error), new_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise error
    assert not list(tmp_path.iterdir())


def test_inputs_are_never_replaced(tmp_path):
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "a.txt"
    source.write_text("input")
    (tmp_path / "b.txt").symlink_to(source)
    (tmp_path / "c.txt").hardlink_to(source)
    for path, sources in ((source, [source]), (source, [tmp_path / "in"]), (tmp_path / "b.txt", [source]),
                          (tmp_path / "c.txt", [source])):  # fmt: skip
        with pytest.raises(InputError, match="is an input itself"):
            check_new_file(path, sources)
    assert check_new_file(tmp_path / "d.txt", [source, io.BytesIO(b"")]) == tmp_path / "d.txt"
    assert check_new_file(tmp_path / "in" / "new.txt", [tmp_path / "in"]).name == "new.txt"
    assert source.read_text() == "input"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_places_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, said in (("pipe", "is a pipe or a device"), ("folder", "is a folder"), ("none/a", "does not exist"),
                       ("n" * 300, "choose a shorter name")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            check_new_file(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_the_hidden_name_is_short_whatever_the_name(tmp_path):
    assert len(temporary_beside(tmp_path / ("n" * 255)).name) < 30
    with new_file(tmp_path / ("n" * 251 + ".mp4")) as partial:
        partial.touch()
    assert len(os.listdir(tmp_path)[0]) == 255


@pytest.mark.parametrize("code, remedy", [(errno.ENOSPC, "make room"), (errno.EACCES, "or choose another folder")])
def test_what_the_system_refuses_is_one_sentence(tmp_path, code, remedy):
    with pytest.raises(InputError, match=rf"a\.txt cannot be written \(.*\); .*{remedy}"), writing(tmp_path / "a.txt"):
        raise OSError(code, os.strerror(code))


def test_less_room_than_needed_is_refused_beforehand(tmp_path, monkeypatch):
    class Usage:
        free = 10**9

    monkeypatch.setattr(output.shutil, "disk_usage", lambda path: Usage)
    with (
        pytest.raises(InputError, match=r"needs 2\.0 GB, but only 1\.0 GB are free"),
        new_file(tmp_path / "a", size=2 * 10**9),
    ):
        raise AssertionError
    with new_file(tmp_path / "a", size=10**8) as partial:
        partial.touch()
