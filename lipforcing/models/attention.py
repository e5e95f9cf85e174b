"""Attention back-ends. Sequences are [B, tokens, heads, head_dim]; nothing is ever masked."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

AttentionFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's fused attention; scale 1 / sqrt(head_dim)."""
    return F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def xformers_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """xformers' memory-efficient attention (CUDA only)."""
    from xformers.ops import memory_efficient_attention

    return memory_efficient_attention(q, k, v)


def default_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """xformers where it is installed and the tensors are on a CUDA device, else PyTorch's own."""
    backend = xformers_attention if q.is_cuda and _has_xformers() else sdpa_attention
    return backend(q, k, v)


def _has_xformers() -> bool:
    return importlib.util.find_spec("xformers") is not None
