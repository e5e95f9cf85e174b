"""``lipforcing embed-text``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..output import check_new_file
from .common import add, add_device, device_choice


def add_commands(commands) -> None:
    """Add the command to the collection."""
    embed = add(commands, "embed-text", command_embed_text, "Embed a prompt with UMT5 for a released student.")
    embed.add_argument("prompt", help='what the video shows, for example "a person talking"')
    embed.add_argument("out", type=Path, help="the new .safetensors file, for sync --text-embeds")
    embed.add_argument("--encoder", metavar="FILE_OR_FOLDER", required=True, help="UMT5-XXL in any layout")
    embed.add_argument("--tokenizer", metavar="FOLDER", help="of google/umt5-xxl (default: beside the encoder)")
    add_device(embed)


def command_embed_text(arguments: argparse.Namespace) -> None:
    """Embed a prompt and write the embedding."""
    from ..text import embed_text, write_embedding

    device = device_choice(arguments.device)
    check_new_file(arguments.out, [arguments.encoder, *([arguments.tokenizer] if arguments.tokenizer else [])])
    embedding = embed_text(arguments.prompt, arguments.encoder, arguments.tokenizer, device)
    print(write_embedding(embedding, arguments.out, arguments.prompt))
