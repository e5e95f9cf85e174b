"""Prompts are embedded as transformers does it, from every layout of the encoder, without holding it in memory."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lipforcing.checkpoints import Kind, inspect, load_text_embedding, open_checkpoint
from lipforcing.cli import main
from lipforcing.errors import InputError
from lipforcing.text import TEXT_LEN, embed_text, find_tokenizer, tidy

from .checkpoints.samples import wan_names_of_umt5

transformers = pytest.importorskip("transformers")
WORDS = ("<pad>", "</s>", "<unk>", "a", "person", "talking", "&")
PROMPT = "a person talking"
TOKENS = [3, 4, 5, 1]


def make_encoder(folder, vocabulary: int = len(WORDS)):
    """A tiny random UMT5 as Hugging Face saves it; its relative distances matter."""
    torch.manual_seed(0)
    config = transformers.UMT5Config(
        vocab_size=vocabulary, d_model=16, d_kv=6, d_ff=24, num_layers=3, num_heads=2, feed_forward_proj="gated-gelu"
    )
    encoder = transformers.UMT5EncoderModel(config).eval()
    for name, tensor in encoder.named_parameters():
        torch.nn.init.normal_(tensor, mean=1.0 if "norm" in name else 0.0, std=0.4)
    encoder.save_pretrained(folder)
    return encoder


def make_tokenizer(folder) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    wrapped.save_pretrained(folder)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Folder with ``text_encoder`` and ``tokenizer``, and the encoder itself."""
    folder = tmp_path_factory.mktemp("umt5")
    encoder = make_encoder(folder / "text_encoder")
    make_tokenizer(folder / "tokenizer")
    return folder, encoder


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
