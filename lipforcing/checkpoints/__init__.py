"""Weights: open any file by content and without running code from it, load strictly, convert, merge, inspect."""

from .checkpoint import Checkpoint, open_checkpoint
from .convert import convert, merge, write_weights
from .detect import Kind
from .inspect import Inspection, inspect
from .load import load_into, load_module, load_text_embedding

__all__ = [
    "Checkpoint",
    "Inspection",
    "Kind",
    "convert",
    "inspect",
    "load_into",
    "load_module",
    "load_text_embedding",
    "merge",
    "open_checkpoint",
    "write_weights",
]
