"""The options that name the models of a run."""

from __future__ import annotations

import argparse

import pytest
import torch

from lipforcing.cli.models import add_models, load_family
from lipforcing.errors import InputError
from lipforcing.stream.family import Family
from lipforcing.tiny import family


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_models(parser)
    return parser.parse_args(options)


def test_nothing_named_is_the_tiny_family():
    loaded = load_family(parsed(), torch.device("cpu"))
    assert loaded.crop_size == family.CROP_SIZE and loaded.codec is loaded.decoder


@pytest.mark.parametrize(
    "options, unused",
    [
        (["--decoder", "no.pth"], "--decoder"),
        (["--audio-window", "20"], "--audio-window"),
        (["--dtype", "bf16", "--decoder", "no.pth"], "--decoder and no --dtype"),
    ],
)
def test_what_the_tiny_model_cannot_use_is_refused(options, unused):
    with pytest.raises(InputError, match=f"takes no {unused};"):
        load_family(parsed(*options), torch.device("cpu"))


def test_a_released_student_needs_all_its_files():
    with pytest.raises(InputError, match="also needs --audio-encoder and --text-embeds"):
        load_family(parsed("--model", "student.pth", "--codec", "vae.pth"), torch.device("cpu"))


def test_files_reach_their_places(monkeypatch):
    asked = {}
    names = "student", "codec", "audio_encoder", "text", "decoder"
    monkeypatch.setattr(Family, "from_files", lambda *paths, **options: asked.update(zip(names, paths), **options))
    options = [f"--{name}={name}" for name in ("model", "codec", "decoder", "audio-encoder", "text-embeds")]
    load_family(parsed(*options, "--dtype", "fp16", "--audio-window", "20"), torch.device("cpu"))
    assert [asked[name] for name in names] == ["model", "codec", "audio-encoder", "text-embeds", "decoder"]
    assert asked["dtype"] is torch.float16 and asked["audio_window"] == 20 and asked["device"].type == "cpu"
