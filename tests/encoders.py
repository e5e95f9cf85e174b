"""A tiny UMT5 and its tokenizer, as Hugging Face saves them; for tests that ask for transformers first."""

from __future__ import annotations

import torch

WORDS = ("<pad>", "</s>", "<unk>", "a", "person", "talking", "&")

PROMPT = "a person talking"

TOKENS = [3, 4, 5, 1]


def make_encoder(folder, vocabulary: int = len(WORDS)):
    """A tiny random UMT5 as Hugging Face saves it; its relative distances matter."""
    import transformers

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
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    wrapped.save_pretrained(folder)


def published_encoder(folder):
    """``folder`` with ``text_encoder`` and ``tokenizer`` in it, and the encoder itself."""
    encoder = make_encoder(folder / "text_encoder")
    make_tokenizer(folder / "tokenizer")
    return folder, encoder
