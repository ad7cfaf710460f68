"""Multi-head cross-attention of M experts (Eq. 10): the same numbers in three ways.

``per_expert``  projects every token once per expert, a loop over experts. The definition, kept as the reference.
``projected``   the same projections, all experts in one matrix product each.
``absorbed``    never projects a pixel: the projections are folded into the queries, which are few.

Queries are few (2-64) and pixels many (up to 16,384). With W_Q, W_K, W_V, W_O of one expert and head,

    queries <- pixels:  (t W_Q)(x W_K)^T = (t W_Q W_K^T) x^T   and   P (X W_V) W_O = ((P X) W_V) W_O
    pixels <- queries:  (x W_Q)(t W_K)^T = x (t W_K W_Q^T)^T   and   P ((t W_V) W_O)

so that X meets M * h * q row vectors of length C in two matrix products. In the first line the key bias adds the
same number to every score of a row and drops out of the softmax; the value bias adds once, because rows of P sum to 1.

Shapes: B batch, M experts, H heads, D channels per head, C = H * D, q queries, N pixels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class ExpertWeights(NamedTuple):
    """Stacked projections; axis 0 is the expert.

    ``weight_*`` (M, C, C) map row vectors as ``x @ weight`` and ``bias_*`` are (M, C).
    """

    weight_q: Tensor
    bias_q: Tensor
    weight_k: Tensor
    bias_k: Tensor
    weight_v: Tensor
    bias_v: Tensor
    weight_o: Tensor
    bias_o: Tensor


def per_expert(
    weights: ExpertWeights, heads: int, query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None
) -> Tensor:
    """Eq. 10 for each expert, by a plain loop.

    Args:
        weights: projections of the experts.
        heads: H.
        query: (B, n, C) what is updated, position added.
        key: (B, m, C) what is attended to, position added.
        value: (B, m, C) what is attended to.
        blocked: (B, n or 1, m) bool, True where no attention may flow; None blocks nothing.

    Returns:
        (B, M, n, C).
    """

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, n, D)

    outputs = []
    for w_q, b_q, w_k, b_k, w_v, b_v, w_o, b_o in zip(*weights, strict=True):
        q, k, v = split(query @ w_q + b_q), split(key @ w_k + b_k), split(value @ w_v + b_v)
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if blocked is not None:
            scores = scores.masked_fill(blocked[:, None], -math.inf)
        context = scores.softmax(-1) @ v
        outputs.append(context.transpose(1, 2).flatten(2) @ w_o + b_o)
    return torch.stack(outputs, dim=1)


def _project(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(B, n, C) through (M, C, D) -> (M, B, n, D).

    Experts come first, so that the weights are one factor of M products instead of being repeated for every sample.
    """
    flat = x.flatten(0, 1).expand(len(weight), -1, -1)
    return torch.baddbmm(bias[:, None], flat, weight).unflatten(1, x.shape[:2])


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(M, B, n, C) -> (B, M, H, n, D)."""
    return x.unflatten(-1, (heads, -1)).permute(1, 0, 3, 2, 4)


def projected(
    weights: ExpertWeights, heads: int, query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None
) -> Tensor:
    """As :func:`per_expert`, with one matrix product per projection for all experts; best above C / H queries."""
    w = weights
    q = _split_heads(_project(query, w.weight_q, w.bias_q), heads)
    k = _split_heads(_project(key, w.weight_k, w.bias_k), heads)
    v = _split_heads(_project(value, w.weight_v, w.bias_v), heads)
    allowed = None if blocked is None else ~blocked[:, None, None]
    context = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    return _join_experts(context, weights)


def _join_experts(context: Tensor, weights: ExpertWeights) -> Tensor:
    """Heads (B, M, H, n, D) through the output projection -> (B, M, n, C)."""
    batch, _, _, count, _ = context.shape
    rows = context.permute(1, 0, 3, 2, 4).flatten(3).flatten(1, 2)  # (M, B * n, C)
    return torch.baddbmm(weights.bias_o[:, None], rows, weights.weight_o).unflatten(1, (batch, count)).transpose(0, 1)


def _through_heads(x: Tensor, weight: Tensor) -> Tensor:
    """(M, B, q, H * D) through per-head factors (M, H, D, E) -> (B, M * H * q, E)."""
    experts, heads = weight.shape[:2]
    batch, count = x.shape[1:3]
    rows = x.unflatten(-1, (heads, -1)).permute(0, 3, 1, 2, 4).flatten(2, 3).flatten(0, 1)  # (M * H, B * q, D)
    product = torch.bmm(rows, weight.flatten(0, 1)).unflatten(1, (batch, count))
    return product.transpose(0, 1).reshape(batch, experts * heads * count, -1)


def _rows_by_head(weight: Tensor, heads: int) -> Tensor:
    """(M, C, C) whose output channels belong to heads -> (M, H, D, C), transposed for folding."""
    return weight.transpose(1, 2).unflatten(1, (heads, -1))


def absorbed_queries_from_pixels(
    weights: ExpertWeights, heads: int, query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None
) -> Tensor:
    """As :func:`per_expert` for few queries (B, q, C) that read many pixels (B, N, C); -> (B, M, q, C)."""
    w = weights
    experts, count, channels = len(w.weight_q), query.shape[1], query.shape[-1]
    scale = 1 / math.sqrt(channels // heads)
    folded = _through_heads(_project(query, w.weight_q, w.bias_q) * scale, _rows_by_head(w.weight_k, heads))
    scores = folded @ key.transpose(1, 2)  # (B, M * H * q, N)
    if blocked is not None:
        scores.unflatten(1, (experts * heads, count)).masked_fill_(blocked[:, None], -math.inf)
    context = (scores.softmax(-1) @ value).unflatten(1, (experts * heads, count))  # (B, M * H, q, C)
    rows = context.transpose(0, 1).flatten(1, 2)  # (M * H, B * q, C)
    columns = w.weight_v.unflatten(2, (heads, -1)).transpose(1, 2).flatten(0, 1)  # (M * H, C, D)
    context = torch.bmm(rows, columns).unflatten(0, (experts, heads)).unflatten(2, (-1, count))  # (M, H, B, q, D)
    context = context.permute(2, 0, 1, 3, 4) + w.bias_v.unflatten(1, (heads, 1, -1))
    return _join_experts(context, weights)


def absorbed_pixels_from_queries(
    weights: ExpertWeights,
    heads: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    blocked: Tensor | None,
    gate: Tensor | None,
) -> Tensor:
    """Many pixels read few queries, gated over experts (Eq. 11) in the same product.

    Args:
        weights: projections of the experts.
        heads: H.
        query: (B, N, C) pixels, position added.
        key: (B, q, C) queries, position added.
        value: (B, q, C) queries.
        blocked: (B, 1, q) bool, True for dummies; None blocks nothing.
        gate: (B, N, M) expert weights of each pixel; None for a single ungated expert.

    Returns:
        (B, N, C), the sum over experts.
    """
    w = weights
    experts, count, channels = len(w.weight_q), key.shape[1], query.shape[-1]
    keys = _project(key, w.weight_k, w.bias_k) / math.sqrt(channels // heads)  # (M, B, q, C)
    bias = (keys * w.bias_q[:, None, None]).unflatten(-1, (heads, -1)).sum(-1)  # (M, B, q, H)
    bias = bias.permute(1, 0, 3, 2).flatten(1)[..., None]  # (B, M * H * q, 1)
    # Scores as (rows, N): the softmax then runs over strided rows with pixels contiguous, which vectorises.
    scores = (_through_heads(keys, _rows_by_head(w.weight_q, heads)) @ query.transpose(1, 2)).add_(bias)
    scores = scores.unflatten(1, (experts * heads, count))
    if blocked is not None:
        scores = scores.masked_fill_(blocked.transpose(1, 2)[:, None], -math.inf)
    attention = scores.softmax(2)
    values = _through_heads(_project(value, w.weight_v, w.bias_v), w.weight_o.unflatten(1, (heads, -1)))
    # Each head's attention sums to 1: a share b_O / H in every value row adds up to b_O, without touching the pixels.
    share = (w.bias_o / heads).repeat_interleave(heads * count, dim=0)
    if gate is not None:
        by_expert = attention.unflatten(1, (experts, heads)) * gate.transpose(1, 2)[:, :, None, None]
        attention = by_expert.flatten(1, 2)
    return attention.flatten(1, 2).transpose(1, 2) @ (values + share)
