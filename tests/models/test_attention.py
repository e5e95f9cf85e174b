"""Attention functions against the formula."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from lipforcing.models.attention import best_attention, sdpa_attention, xformers_attention


def formula(q, k, v, bias=None):
    """softmax(q k / sqrt(d) + bias) v of [B, tokens, heads, d]."""
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    scores = scores if bias is None else scores + bias
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v)


@pytest.mark.parametrize("bias", [None, torch.tensor([0.0, 2.0, -3.0, 0.5, 1.0])], ids=["plain", "bias"])
@pytest.mark.parametrize("attention", [sdpa_attention, xformers_attention])
def test_attention_is_the_formula(attention, bias):
    if attention is xformers_attention:
        pytest.importorskip("xformers")
    q, k, v = (torch.randn(2, tokens, 3, 8, generator=torch.Generator().manual_seed(tokens)) for tokens in (4, 5, 5))
    torch.testing.assert_close(attention(q, k, v, bias), formula(q, k, v, bias), atol=1e-5, rtol=0)


def test_a_bias_of_log_n_stands_for_n_equal_keys():
    q, k, v = torch.randn(1, 2, 1, 4), torch.randn(1, 3, 1, 4), torch.randn(1, 3, 1, 4)
    repeated = [torch.cat((x, x[:, -1:].expand(-1, 6, -1, -1)), dim=1) for x in (k, v)]
    merged = sdpa_attention(q, k, v, torch.tensor([0.0, 0.0, 7.0]).clamp(min=1).log())
    torch.testing.assert_close(merged, sdpa_attention(q, *repeated), atol=1e-5, rtol=0)


@pytest.mark.parametrize("installed", [True, False])
def test_xformers_is_taken_where_it_is(monkeypatch, installed):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
    assert best_attention() is (xformers_attention if installed else sdpa_attention)
