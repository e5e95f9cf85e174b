"""Options that several commands share."""

from __future__ import annotations

import argparse

import pytest

from lipforcing.cli.common import Bar, ByteBar, add, add_device, add_face, device_choice, face_choice, window_choice
from lipforcing.errors import InputError


def test_a_face_is_auto_full_or_a_box():
    assert face_choice("auto") == "auto" and face_choice("full") == "full"
    assert face_choice("1,2.5,30,40") == (1, 2.5, 30, 40)


@pytest.mark.parametrize("text", ["", "all", "1,2,3", "1,2,3,4,5", "9,0,1,9", "0,9,9,9", "1,2,x,4"])
def test_what_is_no_face_is_said(text):
    with pytest.raises(InputError, match="is no face: give auto, center, full, a number"):
        face_choice(text)


def test_a_window_has_a_start_and_a_length():
    assert window_choice(0.0, None) == (0, None) and window_choice(1.5, 2.0) == (1.5, 2.0)
    for start, limit, said in (
        (-1, None, "--start -1"),
        (float("inf"), None, "--start inf"),
        (0, 0, "--limit 0"),
        (0, float("nan"), "--limit nan"),
    ):
        with pytest.raises(InputError, match=said):
            window_choice(start, limit)


@pytest.mark.parametrize("text", ["quantum", "cuda:99", "meta:x"])
def test_a_device_exists(text):
    assert device_choice("cpu").type == "cpu"
    with pytest.raises(InputError, match=f"--device '{text}' cannot be used here"):
        device_choice(text)


def test_a_command_has_its_own_options(monkeypatch):
    monkeypatch.setenv("LIPFORCING_DETECTOR", "here.pth")
    parser = argparse.ArgumentParser()
    command = add(parser.add_subparsers(), "do", print, "Do it.")
    add_device(command)
    add_face(command)
    arguments = parser.parse_args(["do", "--face", "full"])
    assert (arguments.run, arguments.face, arguments.device) == (print, "full", "cpu")
    assert arguments.detector == "here.pth"


def test_bars_count_what_is_done(capsys):
    bar = Bar()
    bar(3, 9, None)
    bar(5, 9, None)
    assert (bar.bar.n, bar.bar.total) == (5, 9)
    bar.close()
    with ByteBar() as bytes_done:
        bytes_done(100, 400)
        bytes_done(300, 400)
        assert (bytes_done.bar.n, bytes_done.bar.total) == (300, 400)
    Bar().close()  # a run that ends before its first frame
