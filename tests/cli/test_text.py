"""``lipforcing embed-text``: a file that ``sync`` reads, and one sentence for bad input."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from lipforcing.checkpoints import Kind, load_text_embedding, open_checkpoint
from lipforcing.cli import main
from lipforcing.errors import InputError
from lipforcing.text import embed_text
from tests.encoders import PROMPT, TOKENS, make_encoder, published_encoder

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_encoder(tmp_path_factory.mktemp("umt5"))


def test_command_writes_what_sync_reads(published, tmp_path, capsys):
    folder, _ = published
    outs = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for out in outs:
        assert main(["embed-text", PROMPT, str(out), "--encoder", str(folder / "text_encoder")]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    loaded, whole = load_text_embedding(outs[0], 16), embed_text(PROMPT, folder / "text_encoder")
    assert loaded.shape[1] == len(TOKENS) and torch.equal(loaded, whole[:, : len(TOKENS)])
    assert open_checkpoint(outs[0], Kind.TEXT_EMBEDDING).own.rest == {"prompt": PROMPT}
    with pytest.raises(InputError, match="width 16"):
        load_text_embedding(outs[0])


def damaged_tokenizer(folder, tmp_path):
    place = tmp_path / "tokenizer"
    place.mkdir()
    (place / "tokenizer.json").write_text('{"version": "1.0", "model": 3}')
    return [PROMPT, folder / "text_encoder", place]


def foreign_encoder(folder, tmp_path):
    make_encoder(tmp_path / "small", vocabulary=4)
    return [PROMPT, tmp_path / "small", folder / "tokenizer"]


def cut_encoder(folder, tmp_path):
    weights = load_file(folder / "text_encoder" / "model.safetensors")
    del weights["encoder.block.1.layer.1.DenseReluDense.wo.weight"]
    save_file(weights, tmp_path / "cut.safetensors")
    return [PROMPT, tmp_path / "cut.safetensors", folder / "tokenizer"]


def t5_encoder(folder, tmp_path):
    """T5 has relative distances in its first layer only."""
    weights = load_file(folder / "text_encoder" / "model.safetensors")
    kept = {n: t for n, t in weights.items() if "relative" not in n or ".block.0." in n}
    save_file(kept, tmp_path / "t5.safetensors")
    return [PROMPT, tmp_path / "t5.safetensors", folder / "tokenizer"]


def lonely_encoder(folder, tmp_path):
    make_encoder(tmp_path / "deep" / "alone")
    return [PROMPT, tmp_path / "deep" / "alone", None]


BAD = {
    "missing encoder": (lambda f, t: [PROMPT, "nowhere.pth", f / "tokenizer"], "nowhere.pth does not exist"),
    "not an encoder": (
        lambda f, t: [PROMPT, _embedding(t), f / "tokenizer"],
        "is a precomputed text embedding; expected a UMT5 text encoder",
    ),
    "T5": (t5_encoder, "is a T5 text encoder; expected a UMT5"),
    "incomplete": (cut_encoder, "missing: encoder.block.1.layer.1.DenseReluDense.wo.weight"),
    "no tokenizer": (lonely_encoder, "no tokenizer beside"),
    "missing tokenizer": (lambda f, t: [PROMPT, f / "text_encoder", t / "none"], "is not a tokenizer's folder"),
    "damaged tokenizer": (damaged_tokenizer, "cannot be read"),
    "another tokenizer": (foreign_encoder, "does not belong to the encoder, which knows 4 tokens"),
    "long prompt": (lambda f, t: ["a " * 512, f / "text_encoder", None], "has 513 tokens"),
}


def _embedding(tmp_path):
    save_file({"context": torch.zeros(1, 3, 4)}, tmp_path / "embedding.safetensors")
    return tmp_path / "embedding.safetensors"


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(published, tmp_path, capsys, case):
    make, expected = BAD[case]
    prompt, encoder, tokenizer = make(published[0], tmp_path)
    out = tmp_path / "out.safetensors"
    options = ["--tokenizer", str(tokenizer)] if tokenizer else []
    capsys.readouterr()
    assert main(["embed-text", prompt, str(out), "--encoder", str(encoder), *options]) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert expected in printed[-1] and printed[-1].startswith("lipforcing: ") and not out.exists()


def test_without_transformers_one_sentence_says_so(published, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    arguments = ["embed-text", PROMPT, str(tmp_path / "o.safetensors"), "--encoder", str(published[0] / "text_encoder")]
    assert main(arguments) == 2
    assert "pip install transformers" in capsys.readouterr().err
