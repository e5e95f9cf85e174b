"""Attention back-ends: functions of q, k, v, each [B, tokens, heads, head_dim], and of a bias over the keys.

Nothing is ever masked. ``bias`` [keys], or None, is added to the scores of every query; scale 1 / sqrt(head_dim).
"""

from __future__ import annotations

import importlib.util
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class AttentionFunction(Protocol):
    """What a network attends with."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor: ...


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """PyTorch's fused attention."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    mask = None if bias is None else bias.expand(1, 1, 1, -1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


def xformers_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """xformers' memory-efficient attention where it can work: on CUDA devices, without a bias."""
    from xformers.ops import memory_efficient_attention

    if bias is not None or not q.is_cuda:
        return sdpa_attention(q, k, v, bias)
    return memory_efficient_attention(q, k, v)


def best_attention() -> AttentionFunction:
    """xformers where it is installed, else PyTorch's own: looked up when a network is made, not when it runs."""
    return sdpa_attention if importlib.util.find_spec("xformers") is None else xformers_attention
