"""Prompts are embedded as transformers does it, from every layout of the encoder, without holding it in memory."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lipforcing.checkpoints import inspect
from lipforcing.errors import InputError
from lipforcing.text import TEXT_LEN, embed_text, find_tokenizer, tidy

from .checkpoints.samples import wan_names_of_umt5
from .encoders import PROMPT, TOKENS, make_tokenizer, published_encoder

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_encoder(tmp_path_factory.mktemp("umt5"))


def test_equals_transformers_with_padding_and_mask(published):
    """As the reference calls it: 512 positions under an attention mask, zero behind the prompt."""
    folder, encoder = published
    tokens = torch.tensor([TOKENS + [0] * (TEXT_LEN - len(TOKENS))])
    with torch.no_grad():
        wanted = encoder(input_ids=tokens, attention_mask=(tokens > 0).long()).last_hidden_state
    wanted[:, len(TOKENS) :] = 0
    found = embed_text(PROMPT, folder / "text_encoder")
    assert found.shape == (1, TEXT_LEN, 16) and found.dtype == torch.bfloat16
    assert not found[:, len(TOKENS) :].any() and found[:, : len(TOKENS)].abs().mean() > 0.1
    torch.testing.assert_close(found.float(), wanted, atol=1e-5, rtol=2**-8)


@pytest.mark.parametrize("layout", ["wan", "wan pth", "bf16", "comfyui", "whole model", "tied name"])
def test_every_layout_gives_the_same_embedding(published, tmp_path, layout):
    folder, _ = published
    weights = load_file(folder / "text_encoder" / "model.safetensors")
    file, source = tmp_path / "encoder.safetensors", folder / "text_encoder"
    if layout.startswith("wan"):
        weights = wan_names_of_umt5(weights)
    elif layout == "bf16":
        weights = {name: tensor.bfloat16() for name, tensor in weights.items()}
        source = tmp_path / "rounded.safetensors"  # the reference also computes with bf16 weights in float32
        save_file({name: tensor.float() for name, tensor in weights.items()}, source)
    elif layout == "comfyui":
        weights["spiece_model"] = torch.zeros(9, dtype=torch.uint8)
    elif layout == "whole model":
        weights |= {"decoder.block.0.layer.0.SelfAttention.q.weight": torch.ones(2), "lm_head.weight": torch.ones(2)}
    else:
        weights["encoder.embed_tokens.weight"] = weights.pop("shared.weight")
    if layout == "wan pth":
        file = file.with_suffix(".pth")
        torch.save(weights, file)
    else:
        save_file(weights, file)
    found = inspect(file)
    assert found.kind == "text_encoder" and found.complete and found.config["layers"] == 3
    assert torch.equal(*(embed_text(PROMPT, path, folder / "tokenizer") for path in (file, source)))


def test_blocks_do_not_stay_in_memory(published, monkeypatch):
    import lipforcing.text as text

    built = []
    make = text._encoder
    monkeypatch.setattr(text, "_encoder", lambda size: built.append(make(size)) or built[0])
    embed_text(PROMPT, published[0] / "text_encoder")
    assert {tensor.device.type for tensor in built[0].parameters()} == {"meta"}


def test_prompts_are_tidied():
    assert tidy("  a\tperson\n&amp;amp;  talking ") == "a person & talking"


def test_an_empty_prompt_is_one_token(published):
    found = embed_text("", published[0] / "text_encoder")
    assert found[0, 0].any() and not found[0, 1:].any()


def test_tokenizer_is_found_in_the_published_folders(published, tmp_path):
    folder, _ = published
    assert find_tokenizer(folder / "text_encoder").resolve() == folder / "tokenizer"
    (tmp_path / "google" / "umt5-xxl").mkdir(parents=True)
    (tmp_path / "google" / "umt5-xxl" / "tokenizer.json").write_bytes(b"x")
    assert find_tokenizer(tmp_path / "models_t5.pth") == tmp_path / "google" / "umt5-xxl"


def test_a_tokenizer_config_cannot_run_code(published, tmp_path):
    """transformers runs a folder's own Python only when told to trust it, which this never does."""
    make_tokenizer(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config |= {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}, "tokenizer_class": "Tokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Tokenizer: pass\n")
    with pytest.raises(InputError, match="cannot be read"):
        embed_text(PROMPT, published[0] / "text_encoder", tmp_path)
    assert not (tmp_path / "ran").exists()
