"""Prompts into the embeddings that condition the released models (docs/model.md, Text).

This is the one room that needs the package ``transformers``, and only when it is used: the prompt hardly ever changes,
so its embedding is made once and kept as a file.
"""

from __future__ import annotations

import html
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checkpoints import Checkpoint, Kind, load_into, open_checkpoint, write_weights
from .checkpoints.configs import OwnMetadata
from .checkpoints.load import check_complete
from .checkpoints.sources import InMemory, Renamed, TensorSource
from .checkpoints.umt5 import EMBEDDING, UMT5Size
from .errors import InputError

TEXT_LEN = 512  # positions that the released models take
NAME = "context"  # of the tensor in files of embeddings
TOKENIZER = "tokenizer.json"
# Where the published folders keep it, seen from the encoder's folder: Wan's own, diffusers', Hugging Face's.
TOKENIZER_PLACES = (".", "google/umt5-xxl", "tokenizer", "../tokenizer", "../google/umt5-xxl")


def embed_text(
    prompt: str, encoder: str | Path, tokenizer: str | Path | None = None, device: torch.device | str = "cpu"
) -> Tensor:
    """Embed a prompt as the reference does: [1, 512, width] in bfloat16, zero behind the prompt's tokens.

    The encoder computes in float32. Its blocks are read one at a time when their turn comes, so UMT5-XXL (11 GB as a
    file, 23 GB in float32) needs little more memory than one block in float32, 0.8 GB. Only the prompt's own tokens
    go through it: the padding that the reference also encodes is masked out and zeroed there.

    Args:
        prompt: any text, HTML entities and runs of blanks are tidied up. Unlike the reference this does not repair
            wrongly decoded characters.
        encoder: UMT5 in Hugging Face's layout (folder or file), ComfyUI's (the same, also in float8), or Wan's own.
        tokenizer: folder with ``tokenizer.json``; by default looked for beside the encoder.
        device: where the encoder runs.

    Raises:
        InputError: ``transformers`` is not installed; a file is missing, damaged or of another kind; the prompt has
            more than 512 tokens.
    """
    checkpoint = open_checkpoint(encoder, Kind.TEXT_ENCODER)
    check_complete(checkpoint)
    place = Path(tokenizer) if tokenizer else find_tokenizer(Path(encoder))
    tokens = _tokenize(tidy(prompt), place, checkpoint.config.vocabulary)
    states = encode_tokens(checkpoint, tokens, device)
    return F.pad(states, (0, 0, 0, TEXT_LEN - len(tokens))).to(device="cpu", dtype=torch.bfloat16)


@torch.no_grad()
def encode_tokens(checkpoint: Checkpoint, tokens: list[int], device: torch.device | str = "cpu") -> Tensor:
    """Last states of an encoder for the numbers of some tokens: [1, tokens, width] in float32.

    Args:
        checkpoint: a complete text encoder.
        tokens: of one text, its end included.
        device: where the encoder runs.
    """
    embedded = checkpoint.weights[EMBEDDING][tokens].to(device=device, dtype=torch.float32)
    network = _encoder(checkpoint.config)
    _load_on_use(network, checkpoint.weights, device)
    return network(inputs_embeds=embedded[None]).last_hidden_state


def write_embedding(embedding: Tensor, out: str | Path, prompt: str = "", **about: str) -> Path:
    """Write an embedding so that ``load_text_embedding`` reads it.

    Args:
        embedding: [1, tokens, width].
        out: the new file.
        prompt, about: what the metadata shall say.

    Raises:
        InputError: ``out`` cannot be written.
    """
    own = OwnMetadata(Kind.TEXT_EMBEDDING.value, rest={"prompt": prompt, **about})
    return write_weights(InMemory({NAME: embedding}), Path(out), own=own)


def tidy(prompt: str) -> str:
    """The prompt without HTML entities, each run of blanks as one."""
    return " ".join(html.unescape(html.unescape(prompt)).split())


def find_tokenizer(encoder: Path) -> Path:
    """The tokenizer's folder beside an encoder's file or folder.

    Raises:
        InputError: there is none.
    """
    folder = encoder if encoder.is_dir() else encoder.parent
    found = next((folder / place for place in TOKENIZER_PLACES if (folder / place / TOKENIZER).is_file()), None)
    if found is None:
        raise InputError(f"no tokenizer beside {encoder}; name the folder that has the {TOKENIZER} of google/umt5-xxl")
    return found


def _transformers():
    try:
        import transformers
    except ImportError:
        raise InputError(
            "embedding a prompt needs the package transformers, which is not installed; pip install transformers, "
            "or take an embedding made elsewhere"
        ) from None
    return transformers


def _tokenize(text: str, folder: Path, vocabulary: int) -> list[int]:
    """Numbers of the tokens of a text, with the one that ends it."""
    if not (folder / TOKENIZER).is_file():
        raise InputError(f"{folder} is not a tokenizer's folder; name the one that has {TOKENIZER}")
    library = _transformers()
    try:
        tokens = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)(text).input_ids
    except Exception as error:  # foreign files make it fail in arbitrary ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"the tokenizer in {folder} cannot be read ({reason}); copy or download it again") from None
    if len(tokens) > TEXT_LEN:
        raise InputError(f"the prompt has {len(tokens)} tokens, but the models take {TEXT_LEN}; shorten it")
    if not tokens or max(tokens) >= vocabulary:
        raise InputError(
            f"the tokenizer in {folder} does not belong to the encoder, which knows {vocabulary} tokens; take both "
            "from the same source"
        )
    return tokens


def _encoder(size: UMT5Size) -> nn.Module:
    """The encoder without weights."""
    library = _transformers()
    config = library.UMT5Config(
        vocab_size=size.vocabulary,
        d_model=size.width,
        d_kv=size.head_width,
        d_ff=size.feed_forward,
        num_layers=size.layers,
        num_heads=size.heads,
        relative_attention_num_buckets=size.buckets,
        feed_forward_proj="gated-gelu",
    )
    with torch.device("meta"):
        return library.UMT5EncoderModel(config).encoder.eval()


def _load_on_use(network: nn.Module, weights: TensorSource, device: torch.device | str) -> None:
    """Let every block get its weights when it is called, and lose them after."""
    parts = {f"encoder.block.{i}.": block for i, block in enumerate(network.block)}
    for prefix, part in {**parts, "encoder.final_layer_norm.": network.final_layer_norm}.items():
        own = Renamed(weights, {name.removeprefix(prefix): name for name in weights if name.startswith(prefix)})

        def load(module: nn.Module, _inputs, own=own) -> None:
            load_into(module, own, device=device, dtype=torch.float32)

        part.register_forward_pre_hook(load)
        part.register_forward_hook(lambda module, _inputs, _outputs: module.to("meta") and None)
